"""The lines of a text file, gzipped or not, with their numbers."""

import gzip
import shlex
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from tqdm import tqdm

from training.errors import DataError, RowError
from training.readers.bad_rows import BadRows

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SNIFFED = 4096
_LINES_BETWEEN_UPDATES = 4096
_LONGEST_LINE = 16 << 20  # bytes; a line beyond it is a file that has none, not a product


def read_lines(path: Path, kind: str, bad_rows: BadRows) -> Iterator[tuple[int, str]]:
    """Line number, from 1, and line with its end. A line that is not UTF-8 is a bad row and comes back empty.

    Raises:
        DataError: if the file is missing, unreadable, not text, a damaged gzip, or in another encoding than UTF-8.
    """
    decoder = _Decoder(path, kind, bad_rows)
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            lines = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if zipped else raw
            _check_text(lines.read(_SNIFFED), path)
            lines.seek(0)
            with tqdm(total=path.stat().st_size, desc=path.name, unit="B", unit_scale=True, disable=None) as bar:
                number = 0
                while line := lines.readline(_LONGEST_LINE):
                    number += 1
                    if number % _LINES_BETWEEN_UPDATES == 0:
                        bar.update(raw.tell() - bar.n)
                    yield number, decoder.decode(line, number)
                bar.update(raw.tell() - bar.n)
        decoder.check()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is a damaged gzip file, perhaps cut off: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _check_text(start: bytes, path: Path) -> None:
    if start.startswith(_UTF16_MARKS):
        raise DataError(f"{path} is not a text file in UTF-8, but in UTF-16: {_advice(path, 'UTF-16')}")
    if b"\0" in start:
        raise DataError(f"{path} is not a text file")


@dataclass
class _Decoder:
    """Lines from UTF-8, and whether that is what they are in.

    One line that is not may be damaged. Where several are not, and no other holds anything but ASCII either, it is the
    file that is in another encoding, and would lose every line with an accent in it.
    """

    path: Path
    kind: str
    bad_rows: BadRows
    refused: int = 0
    first_refused: int = 0
    _shows_utf8: bool = False

    def decode(self, line: bytes, number: int) -> str:
        """The line; empty if it is not UTF-8, which is a bad row.

        Raises:
            DataError: if it is too long; or not UTF-8 and the file's first, or ``bad_rows`` is strict.
        """
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{self.path}:{number}: a line of more than {_LONGEST_LINE >> 20} MiB")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            self.refused += 1
            self.first_refused = self.first_refused or number
            if number == 1 or self.bad_rows.strict:
                raise self._error(f"{self.path}:{number} is not UTF-8") from None
            self.bad_rows.add(self.kind, self.path, number, RowError("the line is not UTF-8"))
            return ""
        self._shows_utf8 = self._shows_utf8 or not text.isascii()
        return text

    def check(self) -> None:
        """At the end of the file: raises DataError if it is not in UTF-8."""
        if self.refused > 1 and not self._shows_utf8:
            raise self._error(
                f"{self.path} is not UTF-8, nor are {self.refused} of its lines, first {self.first_refused}"
            )

    def _error(self, what: str) -> DataError:
        return DataError(f"{what}: {_advice(self.path, 'WINDOWS-1252')}")


def _advice(path: Path, encoding: str) -> str:
    return f"save it as UTF-8, or turn it: {shell_filter(f'iconv -f {encoding} -t UTF-8', path, 'utf-8')}"


def shell_filter(command: str, path: Path, prefix: str) -> str:
    """What a user may type to have ``command`` make of ``path``, gzipped or not, a file beside it."""
    source = shlex.quote(str(path))
    target = shlex.quote(str(path.with_name(f"{prefix}-{path.name.removesuffix('.gz')}")))
    return f"zcat {source} | {command} > {target}" if path.suffix == ".gz" else f"{command} < {source} > {target}"
