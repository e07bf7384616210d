"""The search over the codes of a segment, list by list."""

from typing import Any

import numpy as np
import numpy.typing as npt

from service.inference.index.best import offer, sort_best
from service.inference.index.blocks import BLOCK, TABLE, extremes, lowest_bit, prefetch, round_up, set_sums, survivors
from service.inference.index.compiling import kernel
from service.inference.index.items import Starts
from service.inference.index.nominees import holds
from service.inference.index.protocol import Mask, Scores, Slots
from service.inference.index.scoring import score

_BUCKETS = 1024
_AHEAD = 2  # lists whose memory is asked for before they are scanned


@kernel()
def search_lists(
    entries: Scores,
    codes: Any,
    inverse_norms: Scores,
    popularity: Scores,
    starts: Starts,
    list_scores: Scores,
    budget: int,
    allowed: Mask,
    excluded: Slots,
    excluded_starts: Starts,
    scores: Scores,
    slots: Slots,
) -> None:
    """The best items of each user in the most promising lists, until ``budget`` allowed items were seen and k found.

    Args:
        entries: look-up tables, float32 [q, D * K].
        codes: [n, D].
        inverse_norms: float32 [n].
        popularity: float32 [n].
        starts: int64 [lists + 1], the first slot of each list.
        list_scores: float32 [q, lists], how promising a list is.
        budget: items to see at least.
        allowed: bool [n]; of length 0 for all.
        excluded: slots that a user may not be given, sorted, one user's after the other's.
        excluded_starts: int64 [q + 1], where each user's are.
        scores: set to float32 [q, k].
        slots: set to int64 [q, k].
    """
    num_codebooks = codes.shape[1]
    tables = np.zeros(num_codebooks * max(TABLE, entries.shape[1] // num_codebooks), dtype=np.uint8)
    order = np.empty(len(starts) - 1, dtype=np.int64)
    sums = np.empty(BLOCK, dtype=np.uint32)
    for user in range(len(entries)):
        bound = round_up(entries[user], num_codebooks, tables)
        barred = excluded[excluded_starts[user] : excluded_starts[user + 1]]
        set_order(list_scores[user], order)
        seen, kept = 0, 0
        for place in range(len(order)):
            number, following = order[place], order[min(place + _AHEAD, len(order) - 1)]
            if seen >= budget and kept == scores.shape[1]:
                break
            start, stop = starts[number], starts[number + 1]
            offered = _count(allowed[start:stop]) if len(allowed) else stop - start
            if offered:
                seen += offered
                kept = _scan(
                    entries[user], tables, bound, codes, inverse_norms, popularity, start, stop, starts[following],
                    sums, allowed, barred, scores[user], slots[user], kept,
                )  # fmt: skip
        sort_best(scores[user], slots[user], kept, popularity)


@kernel()
def _count(mask: Mask) -> int:
    total = 0
    for allowed in mask:
        total += allowed
    return total


@kernel()
def gather(
    allowed: Mask,
    codes: Any,
    inverse_norms: Scores,
    popularity: Scores,
    chosen: Slots,
    chosen_codes: Any,
    chosen_norms: Scores,
    chosen_popularity: Scores,
) -> None:
    """Set the arrays of what was chosen to the slots, codes, norms and popularity of the allowed items, in order."""
    count = 0
    for start in range(0, len(allowed), BLOCK):
        stop = min(start + BLOCK, len(allowed))
        if _count(allowed[start:stop]) == 0:
            continue
        for slot in range(start, stop):
            if allowed[slot]:
                chosen[count] = slot
                chosen_norms[count] = inverse_norms[slot]
                chosen_popularity[count] = popularity[slot]
                for place in range(codes.shape[1]):
                    chosen_codes[count, place] = codes[slot, place]
                count += 1


@kernel()
def set_order(list_scores: Scores, order: Slots) -> None:
    """Lists by descending score, those of about the same score by number: a counting sort into buckets."""
    low, high = extremes(list_scores)
    scale = np.float32(_BUCKETS) / (high - low) if high > low else np.float32(0)
    buckets = np.empty(len(list_scores), dtype=np.uint16)
    for number in range(len(list_scores)):
        bucket = (high - list_scores[number]) * scale
        # Not so of a NaN, which no check of bounds would keep out of the memory behind.
        buckets[number] = np.uint16(bucket) if 0 <= bucket <= _BUCKETS else np.uint16(_BUCKETS)
    places = np.zeros(_BUCKETS + 2, dtype=np.int64)
    for bucket in buckets:
        places[bucket + 1] += 1
    for place in range(_BUCKETS):
        places[place + 1] += places[place]
    for number in range(len(list_scores)):
        bucket = buckets[number]
        order[places[bucket]] = number
        places[bucket] += 1


@kernel(inline="always")  # a call a list with so many arrays costs as much as its items
def _scan(
    entries: Scores,
    tables: npt.NDArray[np.uint8],
    bound: tuple[np.float32, np.float32],
    codes: Any,
    inverse_norms: Scores,
    popularity: Scores,
    start: int,
    stop: int,
    following: int,
    sums: npt.NDArray[np.uint32],
    allowed: Mask,
    barred: Slots,
    scores: Scores,
    slots: Slots,
    kept: int,
) -> int:
    """Offer the items of some slots to the best of a user; returns how many are kept now."""
    codebook_size = len(entries) // codes.shape[1]
    for block in range(start, stop, BLOCK):
        prefetch(codes, following + block - start, BLOCK)
        prefetch(inverse_norms, following + block - start, BLOCK)
        # The last block of a segment is read from further back, and what was there before is left out.
        first = min(block, len(codes) - BLOCK)
        bits = np.uint64(0xFFFFFFFFFFFFFFFF)
        if first >= 0 and kept == len(scores):
            set_sums(codes, first, tables, sums)
            bits = survivors(sums, bound[0], bound[1], inverse_norms, first, scores[0])
        first = max(first, 0)
        bits = (bits >> np.uint64(block - first)) << np.uint64(block - first)
        while bits:
            slot = first + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            if slot >= stop:
                break
            if len(allowed) and not allowed[slot]:
                continue
            value = score(entries, codes, inverse_norms, codebook_size, slot)
            if kept == len(scores) and value < scores[0]:
                continue
            if not holds(barred, 0, len(barred), slot):
                kept = offer(value, slot, scores, slots, kept, popularity)
    return kept
