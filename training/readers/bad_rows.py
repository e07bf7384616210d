"""What becomes of a row that cannot be read: reported with its file and line, counted by reason, and left out.

And what is to be known of a file that was read: notes.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from training.errors import DataError, RowError
from training.progress import say

_SHOWN_PER_REASON = 3


@dataclass
class BadRows:
    """Collects the bad rows and notes of one run. With ``strict`` the first bad row is a :class:`DataError`."""

    strict: bool = False
    counts: dict[str, Counter[str]] = field(default_factory=dict)  # "items" or "interactions" ─► reason ─► rows
    examples: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, path: Path, line: int, error: RowError) -> None:
        """Report that ``line`` (1-based; of a Parquet file the row) of ``path`` cannot be read.

        Raises:
            DataError: if the collection is strict.
        """
        message = f"{path}:{line}: {error.detail}"
        if self.strict:
            raise DataError(f"{message}. `vqrec prepare` leaves such rows out and says so") from error
        counts = self.counts.setdefault(kind, Counter())
        counts[error.reason] += 1
        if counts[error.reason] <= _SHOWN_PER_REASON:
            self.examples.append(message)
            say(f"bad row left out: {message}")

    def note(self, message: str) -> None:
        """Keep what the summary shall tell; said at once where, being strict, no summary follows."""
        self.notes.append(message)
        if self.strict:
            say(f"note: {message}")

    def total(self, kind: str) -> int:
        return self.counts.get(kind, Counter()).total()
