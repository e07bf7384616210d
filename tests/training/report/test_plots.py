"""Plots: the shapes say what the figures do."""

from xml.etree import ElementTree as ET

import pytest

from training.evaluation.seeds import Spread
from training.report.plots import Series, bar_plot, line_plot

SVG = "{http://www.w3.org/2000/svg}"
FIRST = Series("first", (Spread(0.1, 0.02), Spread(0.2, None)), number=0)
SECOND = Series("second & <last>", (None, Spread(0.4, None)), number=1)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - nobody else wrote it


def shapes(svg: str, tag: str, **attributes: str) -> list[ET.Element]:
    return [one for one in parsed(svg).iter(SVG + tag) if attributes.items() <= one.attrib.items()]


def colour_of(svg: str, name: str) -> str:
    """What the legend shows left of a name."""
    (label,) = [text for text in shapes(svg, "text") if text.text == name]
    drawn = list(parsed(svg))
    place = next(index for index, one in enumerate(drawn) if ET.tostring(one) == ET.tostring(label))
    return drawn[place - 1].attrib["fill"]


def bars(svg: str, name: str) -> list[ET.Element]:
    """Those of a system, without the legend's."""
    return [bar for bar in shapes(svg, "rect", fill=colour_of(svg, name)) if bar.attrib["height"] != "12"]


def test_bars_are_as_high_as_the_values_and_none_stands_for_what_is_missing() -> None:
    svg = bar_plot("R@10", ["warm", "cold"], [FIRST, SECOND])
    first, second = bars(svg, "first"), bars(svg, "second & <last>")
    heights = [float(bar.attrib["height"]) for bar in first + second]
    assert heights == pytest.approx([heights[0], 2 * heights[0], 4 * heights[0]], abs=0.05)
    assert float(first[1].attrib["x"]) + float(first[1].attrib["width"]) <= float(second[0].attrib["x"])


def test_a_deviation_is_a_whisker_as_long_as_two_of_it() -> None:
    for plot in (bar_plot, line_plot):
        svg = plot("R@10", ["a", "b"], [FIRST])
        (whisker,) = shapes(svg, "line", **{"stroke-width": "1.2"})
        long = float(whisker.attrib["y2"]) - float(whisker.attrib["y1"])
        tall = float(bars(bar_plot("R@10", ["a", "b"], [FIRST]), "first")[0].attrib["height"])
        assert abs(long) / tall == pytest.approx(0.04 / 0.1, abs=0.01)


def test_a_line_goes_through_the_points_there_are() -> None:
    svg = line_plot("R@10", ["1 %", "5 %"], [FIRST, SECOND])
    lines = [line.attrib["points"].split() for line in shapes(svg, "polyline")]
    assert [len(points) for points in lines] == [2, 1]
    assert lines[0][1].split(",")[0] == lines[1][0].split(",")[0]
    assert len(shapes(svg, "circle")) == 3


def test_labels_and_names_are_there_whatever_signs_they_hold() -> None:
    svg = bar_plot("R@10 <of> all", ["warm & dry", "cold"], [FIRST, SECOND])
    texts = [text.text for text in shapes(svg, "text")]
    assert {"R@10 <of> all", "warm & dry", "cold", "first", "second & <last>"} <= set(texts)
    assert [title.text for title in shapes(svg, "title")] == ["R@10 <of> all"]


def test_a_system_keeps_its_colour_where_it_stands_alone() -> None:
    both, alone = bar_plot("R", ["a", "b"], [FIRST, SECOND]), line_plot("R", ["a", "b"], [SECOND])
    assert colour_of(alone, SECOND.name) == colour_of(both, SECOND.name) != colour_of(both, FIRST.name)


def look_of(svg: str, name: str) -> str:
    """What the legend's square left of a name is filled with: its colour, or what is in the pattern it refers to."""
    fill = colour_of(svg, name)
    if not fill.startswith("url(#"):
        return fill
    (pattern,) = shapes(svg, "pattern", id=fill[5:-1])
    pattern.attrib.pop("id")
    return ET.tostring(pattern, encoding="unicode")


@pytest.mark.parametrize("count", [14, 40])
def test_each_of_many_systems_can_be_told_by_its_bars(count: int) -> None:
    series = [Series(f"system {n}", (Spread(0.1, None), Spread(0.2, None)), n) for n in range(count)]
    svg = bar_plot("R", ["a", "b"], series)
    assert len({look_of(svg, one.name) for one in series}) == count
    assert [len(bars(svg, one.name)) for one in series] == [2] * count


@pytest.mark.parametrize("count", [14, 40])
def test_each_of_many_systems_can_be_told_by_its_line(count: int) -> None:
    series = [Series(f"system {n}", (Spread(0.1, None), Spread(0.2, None)), n) for n in range(count)]
    svg = line_plot("R", ["a", "b"], series)
    assert len({look_of(svg, one.name) for one in series}) == count
    lines = [(line.attrib["stroke"], line.attrib.get("stroke-dasharray", "")) for line in shapes(svg, "polyline")]
    assert len(set(lines)) == count
    for one, (stroke, dashes) in zip(series, lines, strict=True):
        assert stroke in look_of(svg, one.name)
        assert dashes in look_of(svg, one.name)


def test_the_first_systems_are_told_by_colour_alone() -> None:
    series = [Series(f"system {n}", (Spread(0.1, None),), n) for n in range(8)]
    for plot in (bar_plot, line_plot):
        svg = plot("R", ["a"], series)
        assert "pattern" not in svg
        assert "dash" not in svg
        assert len({colour_of(svg, one.name) for one in series}) == 8


def test_a_system_looks_the_same_whoever_stands_beside_it() -> None:
    ninth = Series("ninth", (Spread(0.1, None), None), 8)
    for plot in (bar_plot, line_plot):
        both, alone = plot("R", ["a", "b"], [FIRST, ninth]), plot("R", ["a", "b"], [ninth])
        assert look_of(both, "ninth") == look_of(alone, "ninth") != look_of(both, "first")


def test_many_systems_and_long_names_stay_in_the_picture() -> None:
    series = [Series(f"a system with quite a long name {n}", (Spread(0.1, None),), n) for n in range(12)]
    svg = bar_plot("R", ["a"], series)
    root = parsed(svg)
    for text in shapes(svg, "text"):
        assert 0 <= float(text.attrib["x"]) < float(root.attrib["width"])
        assert 0 < float(text.attrib["y"]) < float(root.attrib["height"])
