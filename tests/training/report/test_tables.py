"""Figures as fields of a table."""

from training.evaluation.seeds import Spread
from training.report.document import Cell, Table
from training.report.tables import Column, Row, decimals, figure_table, percent, share_of_one


def test_means_with_their_deviations_the_best_of_a_marked_column_marked() -> None:
    columns = [
        Column("R", decimals(2), marked=True),
        Column("count", decimals(0)),
        Column("own", percent(1), spread=False),
    ]
    rows = [
        Row(("a",), (Spread(0.111, 0.05), Spread(1234.5, None), Spread(0.5, 0.1))),
        Row(("b",), (Spread(0.333, None), None, Spread(0.25, None))),
    ]
    assert figure_table(("system",), columns, rows) == Table(
        ("system", "R", "count", "own"),
        (
            (Cell("a"), Cell("0.11 ± 0.05"), Cell("1,234"), Cell("50.0 %")),
            (Cell("b"), Cell("0.33", best=True), Cell("–"), Cell("25.0 %")),
        ),
    )


def test_nothing_is_best_that_stands_alone_and_equals_are_both_best() -> None:
    column = Column("R", decimals(1), marked=True)

    def best(*means: float | None) -> list[bool]:
        rows = [Row(("x",), (None if mean is None else Spread(mean, None),)) for mean in means]
        return [row[1].best for row in figure_table(("system",), [column], rows).rows]

    assert best(0.5) == [False]
    assert best(0.5, None) == [False, False]
    assert best(0.5, 0.5, 0.1) == [True, True, False]


def test_shares_are_written_with_the_digits_they_take() -> None:
    assert [share_of_one(share) for share in (0, 0.005, 0.05, 0.2, 1)] == ["0 %", "0.5 %", "5 %", "20 %", "100 %"]
