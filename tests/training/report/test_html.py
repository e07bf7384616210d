"""Reports as one page of HTML."""

from html.parser import HTMLParser

from training.report.document import Cell, Document, Heading, Paragraph, Plot, Table
from training.report.html import to_html

DOCUMENT = Document(
    "Quality <1>",
    (
        Heading(2, "shop & co"),
        Paragraph("a < b"),
        Table(("system", "R@10"), ((Cell("<script>"), Cell("0.2", best=True)),)),
        Plot("one", "What it <shows>.", '<svg xmlns="http://www.w3.org/2000/svg"><title>x</title></svg>'),
    ),
)


class Outline(HTMLParser):
    """Tags as they open and close, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.sources: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))


def test_the_page_is_well_formed_and_says_what_the_document_says() -> None:
    outline = Outline(to_html(DOCUMENT))
    assert outline.open == []
    assert [text for text in outline.texts if text[0] != "style"] == [
        ("title", "Quality <1>"),
        ("h1", "Quality <1>"),
        ("h2", "shop & co"),
        ("p", "a < b"),
        ("th", "system"),
        ("th", "R@10"),
        ("td", "<script>"),
        ("strong", "0.2"),
        ("title", "x"),
        ("figcaption", "What it <shows>."),
    ]


def test_the_page_needs_no_other_file_and_runs_nothing() -> None:
    page = to_html(DOCUMENT)
    outline = Outline(page)
    assert outline.sources == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(outline.tags)
    assert "@import" not in page
    assert "url(" not in page
