"""Bars and lines with their deviations, as SVG; written by hand, so that a report needs no plotting library."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from training.evaluation.seeds import Spread
from training.report.axes import Axes, number

# Okabe and Ito's palette, which the colour-blind can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
_GROUP = 0.8  # of the space that a category has, how much its bars take


@dataclass(frozen=True)
class Series:
    """One system's figures.

    Args:
        name: of the system.
        values: one a category; None where there is none.
        number: of its colour, so that a system has the same one in every plot.
    """

    name: str
    values: tuple[Spread | None, ...]
    number: int


def bar_plot(label: str, categories: Sequence[str], series: Sequence[Series]) -> str:
    """An SVG document: a group of bars for each category, with one standard deviation either way."""
    axes = Axes(label, tuple(categories), _highest(series))
    width = axes.step * _GROUP / len(series)
    for place, one in enumerate(series):
        for category, value in enumerate(one.values):
            if value is None:
                continue
            middle = axes.x(category) + (place - (len(series) - 1) / 2) * width
            top = axes.y(value.mean)
            bar = {"x": middle - width / 2, "y": top, "width": width * 0.92, "height": axes.y(0) - top}
            axes.draw("rect", bar, fill=_colour(one))
            _whisker(axes, middle - width * 0.04, value)
    return _finish(axes, series)


def line_plot(label: str, categories: Sequence[str], series: Sequence[Series]) -> str:
    """An SVG document: a line for each system over categories in order, with one standard deviation either way."""
    axes = Axes(label, tuple(categories), _highest(series))
    for one in series:
        points = [(axes.x(category), value) for category, value in enumerate(one.values) if value is not None]
        path = " ".join(f"{number(x)},{number(axes.y(value.mean))}" for x, value in points)
        axes.draw("polyline", points=path, fill="none", stroke=_colour(one), stroke_width="2")
        for x, value in points:
            axes.draw("circle", {"cx": x, "cy": axes.y(value.mean), "r": 3.5}, fill=_colour(one))
            _whisker(axes, x, value)
    return _finish(axes, series)


def _finish(axes: Axes, series: Sequence[Series]) -> str:
    axes.legend([(one.name, _colour(one)) for one in series])
    return ET.tostring(axes.root, encoding="unicode")


def _highest(series: Sequence[Series]) -> float:
    return max((value.mean + (value.deviation or 0) for one in series for value in one.values if value), default=0.0)


def _whisker(axes: Axes, x: float, value: Spread) -> None:
    if value.deviation:
        low, high = axes.y(max(0.0, value.mean - value.deviation)), axes.y(value.mean + value.deviation)
        axes.draw("line", {"x1": x, "x2": x, "y1": low, "y2": high}, stroke="#333", stroke_width="1.2")


def _colour(one: Series) -> str:
    return _COLOURS[one.number % len(_COLOURS)]
