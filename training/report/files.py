"""Runs ─► the files of a report."""

from collections.abc import Callable, Sequence
from pathlib import Path

from training.errors import DataError
from training.evaluation.runs import Run, check_runs, write_runs
from training.evaluation.seeds import summarize
from training.replace_file import replace_files
from training.report.contents import report_document
from training.report.document import Plot
from training.report.html import to_html
from training.report.markdown import to_markdown

TITLE = "Quality of recommendations"
_PLOTS = "plots"


def write_report(runs: Sequence[Run], out: Path, title: str = TITLE) -> Path:
    """Write ``report.json``, ``report.md`` with its ``plots/``, and ``report.html``, which needs no other file.

    Args:
        runs: at least one, in the order in which systems are shown.
        out: a folder, made if it is missing.
        title: of the report.

    Returns:
        The page in HTML.

    Raises:
        DataError: if there are no runs, or they cannot stand in one report.
    """
    if not runs:
        raise DataError("there are no runs to report")
    check_runs(runs)
    document = report_document(summarize(runs), title)
    (out / _PLOTS).mkdir(parents=True, exist_ok=True)
    page = out / "report.html"
    pages = {out / "report.md": to_markdown(document, _PLOTS), page: to_html(document)}
    for block in document.blocks:
        if isinstance(block, Plot):
            pages[out / _PLOTS / f"{block.name}.svg"] = block.svg
    replace_files({path: _writer(text) for path, text in pages.items()})
    write_runs(out / "report.json", runs)
    return page


def _writer(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")
