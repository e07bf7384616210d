"""What ``prepare`` read, what it dropped and why."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class TableSummary:
    """``read`` rows = ``kept`` rows + those ``dropped``, by reason."""

    read: int
    dropped: dict[str, int]
    kept: int

    @classmethod
    def of(cls, read: int, dropped: Mapping[str, int]) -> "TableSummary":
        counted = {reason: count for reason, count in dropped.items() if count}
        return cls(read, counted, read - sum(counted.values()))


@dataclass(frozen=True)
class PrepareSummary:
    """The outcome of one run.

    Args:
        users: that are left.
        items, interactions: by row.
        bad_rows: the first few of each kind, with file and line.
        notes: what is to be known of the files, with file and line.
    """

    users: int
    items: TableSummary
    interactions: TableSummary
    bad_rows: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    def __str__(self) -> str:
        """A small table for people, and the notes."""
        lines: list[tuple[str, int]] = []
        for name, table in (("items", self.items), ("interactions", self.interactions)):
            lines.append((f"{name} read", table.read))
            lines += [(f"  dropped: {reason}", count) for reason, count in table.dropped.items()]
            lines.append((f"{name} kept", table.kept))
        lines.append(("users", self.users))
        width = max(len(label) for label, _ in lines)
        table_lines = [f"{label:<{width}}  {count:>12,}" for label, count in lines]
        return "\n".join([*table_lines, *(f"note: {note}" for note in self.notes)])
