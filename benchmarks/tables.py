"""The tables of docs/performance.md, filled in from the results that are there: ``python -m benchmarks.tables``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- /table -->`` and has the columns that its head names;
``NAME`` is that of a result.
"""

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.setting import RESULTS

_PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
_TABLE = re.compile(r"(?<=<!-- table: )(\w+)( -->\n\n)(\|.*\n\|[-| ]*\n)(?:\|.*\n)*")


def main() -> None:
    page = _PAGE.read_text()
    _PAGE.write_text(_TABLE.sub(_filled, page))


def _filled(match: "re.Match[str]") -> str:
    name, between, head = match[1], match[2], match[3]
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        print(f"{name}: left as it is, there is no {path}")
        return match[0]
    results = json.loads(path.read_text())
    if results["quick"]:
        print(f"{name}: left as it is, {path} is of a quick run")
        return match[0]
    columns = [column.strip() for column in head.splitlines()[0].strip("|").split("|")]
    rows = [" | ".join(_cell(row[column]) for column in columns) for row in results["table"]]
    print(f"{name}: {len(rows)} rows")
    return name + between + head + "".join(f"| {row} |\n" for row in rows)


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or value.is_integer():
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"


if __name__ == "__main__":
    main()
