"""An item as the catalogue in memory knows it: its code and what it can be filtered by, but not its text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

AttributeValue = str | bool | int | float | list[str]


@dataclass(frozen=True, slots=True, eq=False)
class CatalogueItem:
    """One item.

    Args:
        item_id: unique within its domain.
        code: [D] of the layout's dtype.
        attributes: what filters look at.
        available: an unavailable item is never recommended, yet still tells what the shopper likes.
    """

    item_id: str
    code: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    available: bool = True
