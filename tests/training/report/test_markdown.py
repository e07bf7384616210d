"""Reports as Markdown."""

from training.report.document import Cell, Document, Heading, Paragraph, Plot, Table
from training.report.markdown import to_markdown


def test_every_block_has_its_form() -> None:
    table = Table(("system", "R@10"), ((Cell("a"), Cell("0.1")), (Cell("b"), Cell("0.2", best=True))))
    blocks = (Heading(2, "shop, test"), Paragraph("Of all users."), table, Plot("one", "What it shows.", "<svg/>"))
    assert to_markdown(Document("Quality", blocks), "plots") == (
        "# Quality\n\n## shop, test\n\nOf all users.\n\n"
        "| system | R@10 |\n|---|---:|\n| a | 0.1 |\n| b | **0.2** |\n\n"
        "![What it shows.](plots/one.svg)\n"
    )


def test_signs_of_markdown_in_names_are_signs() -> None:
    table = Table(("a|b",), ((Cell("<b>[x](y)*_`"),),))
    assert to_markdown(Document("t", (table,)), "plots").splitlines()[2:] == [
        "| a\\|b |",
        "|---|",
        "| \\<b\\>\\[x\\](y)\\*\\_\\` |",
    ]
