"""Bars and lines with their deviations, as SVG; written by hand, so that a report needs no plotting library."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from training.evaluation.seeds import Spread
from training.report.axes import Axes, number

# Okabe and Ito's palette, which the colour-blind can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
# What tells systems of one colour apart: how the stripes of a bar are turned, and how a line is broken.
_LOOKS: tuple[tuple[int, str] | None, ...] = (None, (45, "4 3"), (135, "1.5 2"), (90, "7 2 1 2"), (0, "9 3"))
_GROUP = 0.8  # of the space that a category has, how much its bars take


@dataclass(frozen=True)
class Series:
    """One system's figures.

    Args:
        name: of the system.
        values: one a category; None where there is none.
        number: of its look, so that a system has the same one in every plot: a colour, and from the ninth on stripes or
            dashes as well. There are forty.
    """

    name: str
    values: tuple[Spread | None, ...]
    number: int

    @property
    def colour(self) -> str:
        return _COLOURS[self.number % len(_COLOURS)]

    @property
    def stripes_and_dashes(self) -> tuple[int, str] | None:
        """By how many degrees stripes are turned, and SVG's dash array; None where the colour says enough."""
        return _LOOKS[self.number // len(_COLOURS) % len(_LOOKS)]


def bar_plot(label: str, categories: Sequence[str], series: Sequence[Series]) -> str:
    """An SVG document: a group of bars for each category, with one standard deviation either way."""
    axes = Axes(label, tuple(categories), _highest(series))
    width = axes.step * _GROUP / len(series)
    fills = [_striped(axes, one) for one in series]
    for place, one in enumerate(series):
        for category, value in enumerate(one.values):
            if value is None:
                continue
            middle = axes.x(category) + (place - (len(series) - 1) / 2) * width
            top = axes.y(value.mean)
            bar = {"x": middle - width / 2, "y": top, "width": width * 0.92, "height": axes.y(0) - top}
            axes.draw("rect", bar, fill=fills[place])
            _whisker(axes, middle - width * 0.04, value)
    return _finish(axes, series, fills)


def line_plot(label: str, categories: Sequence[str], series: Sequence[Series]) -> str:
    """An SVG document: a line for each system over categories in order, with one standard deviation either way."""
    axes = Axes(label, tuple(categories), _highest(series))
    for one in series:
        points = [(axes.x(category), value) for category, value in enumerate(one.values) if value is not None]
        path = " ".join(f"{number(x)},{number(axes.y(value.mean))}" for x, value in points)
        style = {"stroke": one.colour, "stroke_width": "2"}
        point = {"fill": one.colour}
        if one.stripes_and_dashes:
            style["stroke_dasharray"] = one.stripes_and_dashes[1]
            point = {"fill": "#fff", "stroke": one.colour, "stroke_width": "1.5"}
        axes.draw("polyline", points=path, fill="none", **style)
        for x, value in points:
            axes.draw("circle", {"cx": x, "cy": axes.y(value.mean), "r": 3.5}, **point)
            _whisker(axes, x, value)
    return _finish(axes, series, [_dashed(axes, one) for one in series])


def _striped(axes: Axes, one: Series) -> str:
    """What fills the bars of a system."""
    if one.stripes_and_dashes is None:
        return one.colour
    # Plots of one page have ids in common; whichever is found, a system's is the same.
    name = f"stripes-{one.number}"
    turned = f"rotate({one.stripes_and_dashes[0]})"
    tile = {"width": 5.0, "height": 5.0}
    pattern = axes.draw("pattern", tile, id=name, patternUnits="userSpaceOnUse", patternTransform=turned)
    ET.SubElement(pattern, "path", {"d": "M0 0h5v5h-5z", "fill": one.colour})
    ET.SubElement(pattern, "path", {"d": "M0 0h2v5h-2z", "fill": "#fff", "fill-opacity": "0.8"})
    return f"url(#{name})"


def _dashed(axes: Axes, one: Series) -> str:
    """What fills the legend's square of a line: a piece of it, where it is broken."""
    if one.stripes_and_dashes is None:
        return one.colour
    name = f"dashes-{one.number}"
    pattern = axes.draw("pattern", {"width": 1.0, "height": 1.0}, id=name)
    line = {"d": "M0 6h12", "stroke": one.colour, "stroke-width": "3", "stroke-dasharray": one.stripes_and_dashes[1]}
    ET.SubElement(pattern, "path", line)
    return f"url(#{name})"


def _finish(axes: Axes, series: Sequence[Series], fills: Sequence[str]) -> str:
    axes.legend([(one.name, fill) for one, fill in zip(series, fills, strict=True)])
    return ET.tostring(axes.root, encoding="unicode")


def _highest(series: Sequence[Series]) -> float:
    return max((value.mean + (value.deviation or 0) for one in series for value in one.values if value), default=0.0)


def _whisker(axes: Axes, x: float, value: Spread) -> None:
    if value.deviation:
        low, high = axes.y(max(0.0, value.mean - value.deviation)), axes.y(value.mean + value.deviation)
        axes.draw("line", {"x1": x, "x2": x, "y1": low, "y2": high}, stroke="#333", stroke_width="1.2")
