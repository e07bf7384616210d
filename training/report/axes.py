"""The frame of a plot: where a value lies, its grid, its labels and its legend."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

_WIDTH, _HEIGHT = 760, 300  # of the plot with its labels, without the legend, in SVG's units
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 28, 32
_LEGEND_ROW, _LETTER = 20, 7.2
_SWATCH = 18


@dataclass(eq=False)
class Axes:
    """Categories side by side from left to right, values from 0 upwards.

    Args:
        label: of the values.
        categories: at least one.
        highest: the largest value there is, not negative.
    """

    label: str
    categories: tuple[str, ...]
    highest: float
    root: ET.Element = field(init=False)

    def __post_init__(self) -> None:
        self.root = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
        self.root.set("font-family", "system-ui, sans-serif")
        self.root.set("font-size", "12")
        ET.SubElement(self.root, "title").text = self.label
        self.draw("rect", fill="#fff", width="100%", height="100%")
        self._grid()

    @property
    def step(self) -> float:
        """The width that one category has."""
        return (_WIDTH - _LEFT - _RIGHT) / len(self.categories)

    def x(self, category: int) -> float:
        """The middle of a category."""
        return _LEFT + (category + 0.5) * self.step

    def y(self, value: float) -> float:
        """The height of a value; larger ones lie higher, which is a smaller y."""
        bottom = _HEIGHT - _BOTTOM
        return bottom - (bottom - _TOP) * value / self._ticks[-1]

    def draw(self, tag: str, places: Mapping[str, float] | None = None, /, **style: str) -> ET.Element:
        """Add one shape: ``places`` in SVG's units; style as attributes, with _ for the hyphen."""
        attributes = {name: number(value) for name, value in (places or {}).items()}
        attributes |= {name.replace("_", "-"): value for name, value in style.items()}
        return ET.SubElement(self.root, tag, attributes)

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Say below the plot what has which colour, (name, colour) each, and fit the picture's height to it."""
        x, y = float(_LEFT), float(_HEIGHT + 12)
        for name, colour in entries:
            width = _SWATCH + _LETTER * len(name) + 14
            if x > _LEFT and x + width > _WIDTH:
                x, y = float(_LEFT), y + _LEGEND_ROW
            self.draw("rect", {"x": x, "y": y - 10, "width": 12, "height": 12}, fill=colour)
            self.draw("text", {"x": x + _SWATCH, "y": y}, fill="#222").text = name
            x += width
        height = number(y + 10)
        for name, value in {"width": str(_WIDTH), "height": height, "viewBox": f"0 0 {_WIDTH} {height}"}.items():
            self.root.set(name, value)

    @property
    def _ticks(self) -> list[float]:
        return ticks(self.highest)

    def _grid(self) -> None:
        for value in self._ticks:
            ends = {"x1": _LEFT, "x2": _WIDTH - _RIGHT, "y1": self.y(value), "y2": self.y(value)}
            self.draw("line", ends, stroke="#ddd" if value else "#333")
            label = {"x": _LEFT - 8, "y": self.y(value) + 4}
            self.draw("text", label, text_anchor="end", fill="#555").text = f"{value:g}"
        for place, category in enumerate(self.categories):
            label = {"x": self.x(place), "y": _HEIGHT - _BOTTOM + 20}
            self.draw("text", label, text_anchor="middle", fill="#222").text = category
        self.draw("text", {"x": 4, "y": 16}, fill="#222", font_weight="bold").text = self.label


def ticks(highest: float) -> list[float]:
    """Round values from 0 to at least ``highest``, four to seven of them."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step for step in (power, 2 * power, 2.5 * power, 5 * power, 10 * power) if step >= rough * (1 - 1e-9))
    return [round(place * step, 12) for place in range(math.ceil(highest / step - 1e-9) + 1)]


def number(value: float) -> str:
    """A coordinate to a hundredth, so that the same figures give the same file."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
