"""Amazon Reviews 2023 (Hou et al., arXiv 2403.03952): raw ``reviews`` and ``meta`` as JSON Lines, gzipped or not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import errors, hf_hub_download

from training.errors import DataError
from training.readers.bad_rows import BadRows
from training.readers.source import Interaction, ItemRow
from training.readers.tables import Cells, parse_rows, read_json_lines
from training.readers.values import parse_interaction, parse_item

REPOSITORY = "McAuley-Lab/Amazon-Reviews-2023"
_CONNECTION_ERROR = errors.HTTPError  # type: ignore[attr-defined]  # of whichever HTTP library the hub's client uses
_PRICE = re.compile(r"[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class AmazonSource:
    """One category. The item is ``parent_asin``, which the variants of a product share; timestamps are milliseconds."""

    meta_path: Path
    reviews_path: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        return self.meta_path, self.reviews_path

    def items(self, bad_rows: BadRows) -> Iterator[ItemRow]:
        rows = read_json_lines(self.meta_path, "items", bad_rows)
        return parse_rows(rows, _parse_meta, "items", self.meta_path, bad_rows)

    def interactions(self, bad_rows: BadRows) -> Iterator[Interaction]:
        rows = read_json_lines(self.reviews_path, "interactions", bad_rows)
        return parse_rows(rows, _parse_review, "interactions", self.reviews_path, bad_rows)


def download_category(category: str, endpoint: str | None = None, cache_folder: Path | None = None) -> AmazonSource:
    """A category by its name, for instance ``Musical_Instruments``, from the hub or from its cache.

    Args:
        category: as in the data set's ``all_categories.txt``.
        endpoint: another hub than the one that ``huggingface_hub`` is configured for.
        cache_folder: another place for what was downloaded than ``huggingface_hub``'s own.

    Raises:
        DataError: if there is no such category, or no way to the hub.
    """
    names = f"raw/meta_categories/meta_{category}.jsonl", f"raw/review_categories/{category}.jsonl"
    try:
        meta, reviews = (
            Path(hf_hub_download(REPOSITORY, name, repo_type="dataset", endpoint=endpoint, cache_dir=cache_folder))
            for name in names
        )
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise DataError(
            f"the hub cannot be reached, so Amazon's {category} cannot be downloaded: fetch {' and '.join(names)} of "
            f"the data set {REPOSITORY} by other means and give the files"
        ) from error
    except errors.EntryNotFoundError as error:
        raise DataError(f"Amazon Reviews 2023 has no category {category!r}: see its all_categories.txt") from error
    except (_CONNECTION_ERROR, errors.XetDownloadError, OSError, ValueError) as error:
        raise DataError(f"the hub did not give Amazon's {category}: {error}") from error
    return AmazonSource(meta_path=meta, reviews_path=reviews)


def _parse_meta(row: Cells) -> ItemRow:
    price = _PRICE.search(str(row.get("price")).replace(",", ""))  # a number, "from 12.99", "None", "—" or nothing
    return parse_item(
        {
            "item_id": row.get("parent_asin"),
            "title": row.get("title"),
            "brand": row.get("store"),
            "categories": row.get("categories"),
            "description": row.get("description"),
            "main_category": row.get("main_category"),
            "price": float(price[0]) if price else None,
        }
    )


def _parse_review(row: Cells) -> Interaction:
    return parse_interaction(
        {"user_id": row.get("user_id"), "item_id": row.get("parent_asin"), "timestamp": row.get("timestamp")}
    )
