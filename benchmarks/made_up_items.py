"""What a scaled item has besides its code: an id like an ASIN, the text of a real item, three attributes by seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.item_text import text_sha256
from service.catalog.record import ItemRecord

SEED = 0

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_DIGITS = 8
_ID_SPACE: int = len(_DIGITS) ** _ID_DIGITS
_ID_STEP = 1_500_450_271 * 1_009  # shares no factor with the space, so that no two items get one id
_ID_STEP_INVERSE: int = pow(_ID_STEP, -1, _ID_SPACE)
_ID_START = 12_345_678_901
_BLOCK = 65_536
_CATEGORIES = 300
_BRANDS = 30_000
_MEDIAN_PRICE = 20.0


@dataclass(frozen=True, eq=False)
class Names:
    """The id of each place in a scaled catalogue.

    Args:
        real: of the items of the domain that the adapter was trained on, whose popularity it knows; the others have
            ids that look like ASINs.
    """

    real: Mapping[int, str]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in self.real.items()}

    def id_of(self, place: int) -> str:
        return self.real.get(place) or made_up_id(place)

    def place_of(self, item_id: str) -> int:
        place = self._places.get(item_id)
        return _made_up_place(item_id) if place is None else place


@dataclass(frozen=True)
class MadeUpItems:
    """The items of a scaled catalogue, by place.

    Categories follow a Zipf law of exponent 0.5 over 300 names, brands one of exponent 1 over 30,000; prices are
    log-normal around 20.

    Args:
        names: of the items.
        texts: of real items, used in turn.
    """

    names: Names
    texts: Sequence[str]

    def records(self, n: int) -> Iterator[tuple[str, ItemRecord]]:
        """Id and record of the first ``n`` items."""
        digests = [text_sha256(text) for text in self.texts]
        for start in range(0, n, _BLOCK):
            rng = np.random.default_rng([SEED, start])
            categories = rng.choice(_CATEGORIES, _BLOCK, p=_zipf(_CATEGORIES, 0.5)).tolist()
            brands = rng.choice(_BRANDS, _BLOCK, p=_zipf(_BRANDS, 1.0)).tolist()
            prices = np.round(_MEDIAN_PRICE * np.exp(rng.standard_normal(_BLOCK)), 2).tolist()
            for offset in range(min(_BLOCK, n - start)):
                place = start + offset
                text = place % len(self.texts)
                attributes = {
                    "category": f"category {categories[offset]}",
                    "brand": f"brand {brands[offset]}",
                    "price": prices[offset],
                }
                record = ItemRecord(
                    text=self.texts[text], text_sha256=digests[text], attributes=attributes, available=True
                )
                yield self.names.id_of(place), record


def made_up_id(place: int) -> str:
    """Ten characters: ``B0`` and eight that look like chance."""
    number = (place * _ID_STEP + _ID_START) % _ID_SPACE
    digits = []
    for _ in range(_ID_DIGITS):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "B0" + "".join(digits)


def _made_up_place(item_id: str) -> int:
    """The inverse of :func:`made_up_id`."""
    number = 0
    for digit in reversed(item_id[2:]):
        number = number * len(_DIGITS) + _DIGITS.index(digit)
    return (number - _ID_START) * _ID_STEP_INVERSE % _ID_SPACE


def _zipf(count: int, exponent: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    weights = 1 / np.arange(1, count + 1) ** exponent
    return np.asarray(weights / weights.sum())
