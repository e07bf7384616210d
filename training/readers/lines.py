"""The lines of a text file, gzipped or not, with their numbers."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from tqdm import tqdm

from training.errors import DataError, RowError
from training.readers.bad_rows import BadRows

_GZIP_MAGIC = b"\x1f\x8b"
_SNIFFED = 4096
_LINES_BETWEEN_UPDATES = 4096
_LONGEST_LINE = 16 << 20  # bytes; a line beyond it is a file that has none, not a product


def read_lines(path: Path, kind: str, bad_rows: BadRows) -> Iterator[tuple[int, str]]:
    """Line number, from 1, and line with its end. A line that is not UTF-8 is a bad row and comes back empty.

    Raises:
        DataError: if the file is missing, unreadable, not text, or a damaged gzip.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            lines = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
            if b"\0" in lines.read(_SNIFFED):
                raise DataError(f"{path} is not a text file")
            lines.seek(0)
            with tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True, disable=None) as bar:
                number = 0
                while line := lines.readline(_LONGEST_LINE):
                    number += 1
                    if number % _LINES_BETWEEN_UPDATES == 0:
                        bar.update(raw.tell() - bar.n)
                    yield number, _decode(line, number, path, kind, bad_rows)
                bar.update(raw.tell() - bar.n)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file, perhaps cut off: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _decode(line: bytes, number: int, path: Path, kind: str, bad_rows: BadRows) -> str:
    try:
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path}:{number}: a line of more than {_LONGEST_LINE >> 20} MiB")
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        bad_rows.add(kind, path, number, RowError("the line is not UTF-8"))
        return ""
