"""A report before it has a form: what Markdown and HTML are written from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A heading below the title: level 2 is a section, 3 a part of it."""

    level: int
    text: str


@dataclass(frozen=True)
class Paragraph:
    """Plain text, one paragraph."""

    text: str


@dataclass(frozen=True)
class Cell:
    """One field of a table; the best of its column is marked."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Rows as long as the head; the first column names the row, the others are numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Plot:
    """A picture.

    Args:
        name: unique in the report; letters, digits and hyphens.
        caption: what it shows.
        svg: the picture itself, a whole SVG document.
    """

    name: str
    caption: str
    svg: str


Block = Heading | Paragraph | Table | Plot


@dataclass(frozen=True)
class Document:
    """A title and what follows it."""

    title: str
    blocks: tuple[Block, ...]
