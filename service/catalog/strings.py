"""Many short strings in two arrays: a few bytes a string, not an object each, and all work on them without a loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int32] | npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_PADDING = 8  # zeros behind the last string, so that a word can be read wherever a string begins
_CHUNK = 16384  # strings copied at a time: bounds the positions that are made for their bytes
_WORD = 8


@dataclass(frozen=True, eq=False)
class Strings:
    """Strings by number.

    They are compared as UTF-8, eight bytes at a time as one big-endian number with zeros behind the end. That is the
    order of Python's strings; only strings that differ in zeros at their ends, which ids do not have, are ties in it.

    Args:
        blob: uint8, the UTF-8 of all of them in order, and eight zeros.
        offsets: uint32 or int64 [n + 1], where each begins.
    """

    blob: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.uint32] | npt.NDArray[np.int64]

    @classmethod
    def of(cls, strings: Sequence[str]) -> "Strings":
        """Strings by their place in a sequence."""
        parts = [string.encode() for string in strings]
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        blob = np.frombuffer(b"".join([*parts, bytes(_PADDING)]), dtype=np.uint8)
        return cls(blob, _offsets(lengths))

    @classmethod
    def gather(cls, parts: Sequence[tuple["Strings", Numbers]]) -> "Strings":
        """These strings of each part, one part behind the other."""
        offsets = _offsets(np.concatenate([np.zeros(0, np.int64), *(part.lengths(numbers) for part, numbers in parts)]))
        blob = np.zeros(int(offsets[-1]) + _PADDING, dtype=np.uint8)
        end = 0
        for part, numbers in parts:
            for start in range(0, len(numbers), _CHUNK):
                copied = part._bytes_of(numbers[start : start + _CHUNK])
                blob[end : end + len(copied)] = copied
                end += len(copied)
        return cls(blob, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> str:
        return str(self._memory[int(self.offsets[number]) : int(self.offsets[number + 1])], "utf-8")

    def many(self, numbers: Numbers) -> list[str]:
        """The strings with these numbers."""
        starts, ends = self.offsets[numbers].tolist(), self.offsets[1:][numbers].tolist()
        memory = self._memory
        return [str(memory[start:end], "utf-8") for start, end in zip(starts, ends, strict=True)]

    @property
    def nbytes(self) -> int:
        return self.blob.nbytes + self.offsets.nbytes

    def lengths(self, numbers: Numbers) -> npt.NDArray[np.int64]:
        """The lengths of these strings in bytes."""
        return np.asarray(self.offsets[1:][numbers], np.int64) - np.asarray(self.offsets[numbers], np.int64)

    def words(self, numbers: Numbers, place: int) -> Words:
        """The bytes from ``8 * place`` on of these strings, of each one word: uint64 [len(numbers)]."""
        starts = self.offsets[numbers].astype(np.int64) + _WORD * place
        missing = starts + _WORD - self.offsets[1:][numbers].astype(np.int64)
        # A view of a word at every byte: unaligned, which numpy copes with.
        at_every_byte = np.ndarray((len(self.blob) - _WORD + 1,), dtype=">u8", buffer=self.blob, strides=(1,))
        words = at_every_byte[np.minimum(starts, len(at_every_byte) - 1)].astype(np.uint64)
        shifts = (8 * np.minimum(np.maximum(missing, 0), _WORD - 1)).astype(np.uint64)
        return np.where(missing < _WORD, (words >> shifts) << shifts, np.uint64(0))

    def equal(self, numbers: Numbers, other: "Strings", others: Numbers) -> npt.NDArray[np.bool_]:
        """Whether each of these strings is the one of ``other`` beside it: bool [len(numbers)]."""
        lengths = self.lengths(numbers)
        equal: npt.NDArray[np.bool_] = lengths == other.lengths(others)
        place, pending = 0, np.flatnonzero(equal & (lengths > 0))
        while len(pending):
            same = self.words(numbers[pending], place) == other.words(others[pending], place)
            equal[pending[~same]] = False
            place += 1
            pending = pending[same & (lengths[pending] > _WORD * place)]
        return equal

    def order(self) -> npt.NDArray[np.int64]:
        """The numbers in the order of the strings, by one word after the other where those before it are equal."""
        order = np.arange(len(self))
        groups = np.zeros(len(self), dtype=np.int64)
        longest = int(self.lengths(order).max(initial=0))
        place, tied = 0, order.copy()
        while len(tied) and place * _WORD < longest:
            words = self.words(order[tied], place)
            by_word = np.lexsort((words, groups[tied])) if place else np.argsort(words, kind="stable")
            order[tied], words = order[tied[by_word]], words[by_word]
            begins = np.ones(len(tied) + 1, dtype=np.bool_)  # of a group of strings that are equal so far
            begins[1:-1] = (words[1:] != words[:-1]) | (groups[tied[1:]] != groups[tied[:-1]])
            groups[tied] = np.cumsum(begins[:-1])
            tied = tied[~(begins[:-1] & begins[1:])]
            place += 1
        return order

    @cached_property
    def _memory(self) -> memoryview:
        return self.blob.data

    def _bytes_of(self, numbers: Numbers) -> npt.NDArray[np.uint8]:
        """The bytes of these strings, one behind the other."""
        lengths = self.lengths(numbers)
        ends = np.cumsum(lengths)
        shifts = self.offsets[numbers].astype(np.int64) - (ends - lengths)
        return self.blob[np.repeat(shifts, lengths) + np.arange(int(ends[-1]) if len(ends) else 0)]


def _offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32] | npt.NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets.astype(np.uint32) if offsets[-1] < 2**32 else offsets
