"""What a reader gives: items and interactions, one at a time, whatever the files were."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from models.item_text import TEXT_FIELDS
from training.readers.bad_rows import BadRows

AttributeValue = str | bool | int | float | list[str]

# item_id, the text columns that the item has, and its attributes; what is empty is left out
ItemRow = dict[str, AttributeValue]

ITEM_COLUMNS = ("item_id", "text", *TEXT_FIELDS)
INTERACTION_COLUMNS = ("user_id", "item_id", "timestamp")


class Interaction(NamedTuple):
    """One purchase, review or click. ``timestamp`` orders; its unit is the source's own, and it may have a fraction."""

    user_id: str
    item_id: str
    timestamp: int | float


class Source(Protocol):
    """Raw data of one shop. Bad rows go to ``bad_rows``; a bad file is a :class:`~training.errors.DataError`."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that are read."""
        ...

    def items(self, bad_rows: BadRows) -> Iterator[ItemRow]:
        """Items in the order of the file; an id may come twice, and then the last is meant."""
        ...

    def interactions(self, bad_rows: BadRows) -> Iterator[Interaction]:
        """Interactions in the order of the file."""
        ...
