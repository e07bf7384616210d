"""The assignment of rows to columns with the largest sum of scores.

Written out in numpy, since the one function would be all that is wanted of SciPy.
"""

import numpy as np
import numpy.typing as npt


def best_assignment(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The column of each row: int64 [n], each column at most once, so that the sum of the scores is the largest.

    Each row in turn is assigned along the shortest augmenting path, at most O(n² m), and far less where scores are
    clear. Source: Crouse, "On implementing 2D rectangular assignment algorithms", IEEE TAES 52(4), 2016.

    Args:
        scores: [n, m], finite, n at most m.

    Raises:
        ValueError: if there are more rows than columns, or a score is not finite.
    """
    if scores.ndim != 2 or scores.shape[0] > scores.shape[1]:
        raise ValueError(f"cannot give each row a column of its own in scores {list(scores.shape)}")
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    search = _Search(-scores.astype(np.float64))
    for row in np.flatnonzero(search.column_of < 0):
        search.assign(int(row))
    return search.column_of


class _Search:
    """The state between rows: an assignment, and prices that prove that it is the best of the rows it has."""

    def __init__(self, costs: npt.NDArray[np.float64]) -> None:
        rows, columns = costs.shape
        self.costs = costs
        self.row_price = costs.min(axis=1)
        self.column_price = np.zeros(columns)
        self.column_of = np.full(rows, -1, dtype=np.int64)
        self.row_of = np.full(columns, -1, dtype=np.int64)
        # Most rows like a column best that no row before them does: those need no search.
        wanted, first = np.unique(costs.argmin(axis=1), return_index=True)
        self.column_of[first], self.row_of[wanted] = wanted, first

    def assign(self, start: int) -> None:
        """Give the row ``start`` a column; rows that have one may change it."""
        columns = len(self.row_of)
        distance = np.full(columns, np.inf)
        came_from = np.full(columns, -1, dtype=np.int64)
        open_distance = distance.copy()  # infinite where a column is done with
        done: list[int] = []
        row, length = start, 0.0
        while True:
            through = length + self.costs[row] - self.row_price[row] - self.column_price
            shorter = through < distance
            shorter[done] = False
            distance[shorter], came_from[shorter] = through[shorter], row
            open_distance[shorter] = through[shorter]
            length = float(open_distance.min())
            nearest = np.flatnonzero(open_distance == length)
            free = nearest[self.row_of[nearest] < 0]
            if len(free):  # of equal columns one that ends the search
                break
            column = int(nearest[0])
            done.append(column)
            open_distance[column] = np.inf
            row = int(self.row_of[column])
        self._settle_prices(start, done, length - distance[done], length)
        self._augment(start, int(free[0]), came_from)

    def _settle_prices(self, start: int, done: list[int], gains: npt.NDArray[np.float64], length: float) -> None:
        self.row_price[start] += length
        self.row_price[self.row_of[done]] += gains
        self.column_price[done] -= gains

    def _augment(self, start: int, column: int, came_from: npt.NDArray[np.int64]) -> None:
        while True:
            row = int(came_from[column])
            before = int(self.column_of[row])
            self.column_of[row], self.row_of[column] = column, row
            if row == start:
                return
            column = before
