"""Readers of raw data: each turns one kind of files into items and interactions in the neutral form."""

from pathlib import Path
from typing import Literal, get_args

from training.errors import DataError
from training.readers.amazon2023 import AmazonSource, download_category
from training.readers.source import Source
from training.readers.tables import TableSource
from training.readers.unisrec import find_atomic_files

Format = Literal["amazon2023", "unisrec", "table"]
FORMATS: tuple[Format, ...] = get_args(Format)

_NEEDS: dict[Format, str] = {
    "table": "the format `table` needs a file of items and a file of interactions, and nothing else",
    "amazon2023": "the format `amazon2023` needs a meta file and a reviews file, or the name of a category alone",
    "unisrec": "the format `unisrec` needs the folder of the atomic files, and nothing else",
}


def open_source(
    kind: Format,
    *,
    items: Path | None = None,
    interactions: Path | None = None,
    folder: Path | None = None,
    category: str | None = None,
) -> Source:
    """The reader for ``kind``, from what says where its files are.

    Args:
        kind: ``table`` and ``amazon2023`` read ``items`` and ``interactions``, ``unisrec`` a ``folder``.
        items: a table, or Amazon's ``meta`` file.
        interactions: a table, or Amazon's ``reviews`` file.
        folder: of atomic files.
        category: instead of files, one of Amazon's categories by name; it is downloaded.

    Raises:
        DataError: if what ``kind`` needs is not given, or something else is.
    """
    match kind, items, interactions, folder, category:
        case "table", Path() as items_path, Path() as interactions_path, None, None:
            return TableSource(items_path, interactions_path)
        case "amazon2023", Path() as meta_path, Path() as reviews_path, None, None:
            return AmazonSource(meta_path, reviews_path)
        case "amazon2023", None, None, None, str() as name:
            return download_category(name)
        case "unisrec", None, None, Path() as path, None:
            return find_atomic_files(path)
    raise DataError(_NEEDS[kind])
