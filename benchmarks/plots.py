"""The plots of docs/performance.md from the results that are there: ``python -m benchmarks.plots``.

The first time that a plot is drawn, it takes the place of ``<!-- plot: NAME -->`` in the page.
"""

import json
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.contender import WANTED_RECALL
from benchmarks.serving.sweep import LIMIT_MILLISECONDS
from benchmarks.setting import RESULTS

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_IMAGES = _PAGE.parent / "images"
_COLOURS = {
    "vqrec codes": "#c0392b",
    "vqrec ivf": "#e67e22",
    "vqrec flat": "#f1c40f",
    "FAISS flat": "#7f8c8d",
    "FAISS IVF": "#2980b9",
    "FAISS IVF-PQ": "#85c1e9",
    "FAISS HNSW": "#27ae60",
    "usearch HNSW": "#8e44ad",
    "FAISS HNSW, 500 filtered": "#145a32",
}
_PANEL = (4.2, 3.6)  # inches

Rows = list[dict[str, Any]]


def main() -> None:
    mpl.rcParams.update({"svg.hashsalt": "vqrec", "svg.fonttype": "none", "font.size": 9})
    for name, draw in _DRAWN.items():
        path = RESULTS / f"{name}.json"
        if not path.is_file():
            print(f"{name}: no {path}, run python -m benchmarks.{name.partition('_')[0]} first")
            continue
        results = json.loads(path.read_text())
        if results["quick"]:
            print(f"{name}: left as it is, {path} is of a quick run")
            continue
        figure = draw(results)
        image = _IMAGES / f"{name}.svg"
        _IMAGES.mkdir(parents=True, exist_ok=True)
        # Without a date, so that the same results give the same file.
        FigureCanvasSVG(figure).print_svg(str(image), metadata={"Date": None})
        page = _PAGE.read_text()
        _PAGE.write_text(page.replace(f"<!-- plot: {name} -->", f"![{name}](images/{name}.svg)"))
        print(image)


def _serving(results: dict[str, Any]) -> Figure:
    """Latency against rate, a panel a percentile; a point where a request failed is left out."""
    points: Rows = [
        {"server": point["server"], "rate": point["rate"], **point["milliseconds"]}
        for point in results["points"]
        if not point["failures"]
    ]
    figure, axes = _panels(3)
    for axis, percentile in zip(axes, ("p50", "p95", "p99"), strict=True):
        _lines(axis, points, "server", "rate", percentile)
        axis.axhline(LIMIT_MILLISECONDS, color="black", linewidth=0.6, linestyle=":")
        axis.set(title=percentile, xlabel="requests a second", ylabel="ms", yscale="log")
    _legend(figure, axes)
    return figure


def _index(results: dict[str, Any]) -> Figure:
    """Recall against queries a second, a panel a size."""
    curves: Rows = [row for row in results["curves"] if row["users"] == "own"]
    panels = [(n, list(rows)) for n, rows in groupby(curves, key=lambda row: row["items"])]
    figure, axes = _panels(len(panels))
    for axis, (n, rows) in zip(axes, panels, strict=True):
        _lines(axis, rows, "index", "recall", "one")
        axis.axvline(WANTED_RECALL, color="black", linewidth=0.6, linestyle=":")
        axis.set(title=f"{n:,} items", xlabel="recall@50", ylabel="queries a second, one core", yscale="log")
        axis.set_xlim(0.8, 1.003)
    _legend(figure, axes)
    return figure


def _filters(results: dict[str, Any]) -> Figure:
    """Time and full answers against the share of items that are allowed."""
    table: Rows = results["table"]
    largest = max(row["items"] for row in table)
    figure, axes = _panels(4)
    kinds = [(kind, value) for kind in ("by chance", "alike") for value in ("ms", "recall@50")]
    for axis, (kind, value) in zip(axes, kinds, strict=True):
        rows = [row for row in table if row["items"] == largest and row["allowed"] == kind]
        _lines(axis, sorted(rows, key=lambda row: str(row["index"])), "index", "share", value)
        title = f"{largest:,} items, allowed {kind}"
        axis.set(title=title, xlabel="share of items allowed", ylabel=value, xscale="log")
        if value == "ms":
            axis.set_yscale("log")
    _legend(figure, axes)
    return figure


def _swap(results: dict[str, Any]) -> Figure:
    """Seconds of a swap beside those of an HNSW build."""
    table: Rows = [row for row in results["table"] if row["HNSW build s"] is not None]
    figure, (axis,) = _panels(1)
    sizes = [f"{row['items']:,}" for row in table]
    for shift, (column, name) in enumerate(
        (("swap s", "vqrec codes"), ("loaded swap s", "vqrec ivf"), ("HNSW build s", "FAISS HNSW"))
    ):
        places = [place + 0.25 * shift for place in range(len(table))]
        axis.bar(places, [row[column] for row in table], 0.25, color=_COLOURS[name], label=column)
    axis.set_xticks([place + 0.25 for place in range(len(table))], sizes)
    axis.set(xlabel="items", ylabel="seconds", yscale="log")
    axis.legend(fontsize=7)
    return figure


def _lines(axis: Axes, rows: Iterable[dict[str, Any]], by: str, x: str, y: str) -> None:
    for name, points in groupby(rows, key=lambda row: str(row[by])):
        drawn = sorted((row[x], row[y]) for row in points)
        axis.plot(*zip(*drawn, strict=True), marker=".", linewidth=1.2, label=name, color=_COLOURS.get(name))
    axis.grid(visible=True, linewidth=0.3)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(_PANEL[0] * count, _PANEL[1]), layout="constrained")
    grid = figure.subplots(1, count, squeeze=False)
    return figure, list(grid[0])


def _legend(figure: Figure, axes: list[Axes]) -> None:
    named = {label: line for axis in axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(named.values()),
        list(named),
        loc="outside lower center",
        ncols=min(8, 3 * len(axes)),
        fontsize=8,
        frameon=False,
    )


_DRAWN = {"serving": _serving, "index": _index, "filters": _filters, "swap_scaled": _swap}


if __name__ == "__main__":
    main()
