"""A report as Markdown; its plots are files beside it."""

import re

from training.report.document import Block, Cell, Document, Heading, Paragraph, Plot, Table

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


def to_markdown(document: Document, plots: str) -> str:
    """The report with its plots at ``plots``/NAME.svg, a path relative to the page's own."""
    blocks = (Heading(1, document.title), *document.blocks)
    return "\n\n".join(_block(block, plots) for block in blocks) + "\n"


def _block(block: Block, plots: str) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_escape(text)}"
        case Paragraph(text):
            return _escape(text)
        case Table():
            return _table(block)
        case Plot(name, caption):
            return f"![{_escape(caption)}]({plots}/{name}.svg)"


def _table(table: Table) -> str:
    rule = "|".join(["---", *["---:"] * (len(table.head) - 1)])
    lines = [_row(map(_escape, table.head)), f"|{rule}|", *(_row(map(_cell, row)) for row in table.rows)]
    return "\n".join(lines)


def _row(fields: "map[str]") -> str:
    return f"| {' | '.join(fields)} |"


def _cell(cell: Cell) -> str:
    text = _escape(cell.text)
    return f"**{text}**" if cell.best else text


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
