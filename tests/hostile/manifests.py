"""Manifests that are none, or say what no manifest may, and folders that hold what no manifest vouches for."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.bundle import MANIFEST
from tests.hostile.damage import Damage, Hostile, change_manifest, said
from tests.hostile.files import NESTED


def _manifest_file(make: Callable[[Path], object]) -> Damage:
    def damage(path: Path) -> None:
        (path / MANIFEST).rename(path.parent / "aside")
        make(path / MANIFEST)

    return damage


def _raw_manifest(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: (path / MANIFEST).write_bytes(change((path / MANIFEST).read_bytes()))


def _inside(text: bytes) -> Damage:
    """More keys for the manifest, as JSON."""
    return _raw_manifest(lambda raw: raw.rstrip()[:-1] + b"," + text + b"}")


def _file_named(name: str) -> Damage:
    return lambda path: change_manifest(
        path, lambda document: document["files"].update({name: next(iter(document["files"].values()))})
    )


def _entries(**update: object) -> Damage:
    def change(document: dict[str, Any]) -> None:
        for entry in document["files"].values():
            entry.update(update)

    return lambda path: change_manifest(path, change)


def _crowd(path: Path) -> None:
    for number in range(1000):
        (path / f"{number}").touch()


_JSON: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "of zeros": lambda _: bytes(100),
    "cut": lambda raw: raw[:-20],
    "with more behind it": lambda raw: raw + b"{}",
    "in UTF-16": lambda raw: raw.decode().encode("utf-16"),
    "with a byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "not UTF-8": lambda raw: raw.replace(b"kind", b"k\xffnd"),
    "a list": lambda raw: b"[" + raw + b"]",
    "null": lambda _: b"null",
    "a string": lambda raw: json.dumps(raw.decode()).encode(),
    "deep": lambda _: NESTED,
    "of open brackets": lambda _: b"[" * 900_000,
    "of open braces": lambda _: b'{"a":' * 150_000,
}

_CLAIMS: dict[str, dict[str, object]] = {
    "format 2": {"format_version": 2},
    "format 1e99": {"format_version": 1e99},
    "no known kind": {"kind": "cake"},
    "a kind that is a list": {"kind": ["adapter"]},
    "no files": {"files": None},
    "files as a list": {"files": []},
    "a file as a string": {"files": {"a": "b"}},
    "seventeen files": {"files": {f"f{n}": {"sha256": "0" * 64, "bytes": 1} for n in range(17)}},
    "text of no width": {"text_dim": 0},
    "text of negative width": {"text_dim": -16},
    "text of endless width": {"text_dim": 1 << 62},
    "text of width NaN": {"text_dim": float("nan")},
    "text of width infinity": {"text_dim": float("inf")},
    "text of half a width": {"text_dim": 16.5},
    "made with a string": {"made_with": "hands"},
}

_ENTRIES: dict[str, dict[str, object]] = {
    "a short sha256": {"sha256": "0" * 63},
    "a long sha256": {"sha256": "0" * 65},
    "no hexadecimal sha256": {"sha256": "g" * 64},
    "a sha256 in capitals": {"sha256": "A" * 64},
    "a number for sha256": {"sha256": 0},
    "a negative size": {"bytes": -1},
    "no size": {"bytes": None},
    "half a byte": {"bytes": 0.5},
    "a mode": {"mode": "rwx"},
}

MANIFESTS: dict[str, Hostile] = {
    "no manifest": Hostile(lambda path: (path / MANIFEST).unlink(), "not an artifact"),
    "manifest a link": Hostile(_manifest_file(lambda file: file.symlink_to("../aside")), "not an artifact"),
    "manifest a folder": Hostile(_manifest_file(lambda file: file.mkdir()), "not an artifact"),
    "manifest a pipe": Hostile(_manifest_file(os.mkfifo), "not an artifact"),
    "manifest a device": Hostile(_manifest_file(lambda file: file.symlink_to("/dev/zero")), "not an artifact"),
    "manifest a sparse terabyte": Hostile(lambda path: os.truncate(path / MANIFEST, 1 << 40), "larger"),
    "manifest of a megabyte": Hostile(_raw_manifest(lambda raw: raw + b" " * (1 << 20)), "larger"),
    **{f"manifest {what}": Hostile(_raw_manifest(change), r"manifest\.json") for what, change in _JSON.items()},
    **{
        f"manifest with {what}": Hostile(_inside(text), r"manifest\.json")
        for what, text in {
            "a deep value": b'"made_with": {"a": ' + NESTED + b"}",
            "an endless number": b'"made_with": {"a": ' + b"9" * 10_000 + b"}",
            "an unknown key": b'"colour": "red"',
            "an endless unknown key": b'"' + b"k" * 500_000 + b'": 1',
            "half a character": rb'"made_with": {"\ud800": 1}',
            "its kind twice": b'"kind": "cake"',
            "its version twice": b'"format_version": 1',
            "a doubled key deep inside": b'"made_with": {"a": {"b": 1, "b": 2}}',
        }.items()
    },
    **{f"manifest says {what}": Hostile(said(**update), r"manifest\.json") for what, update in _CLAIMS.items()},
    **{
        f"file named {name[:20]!r}": Hostile(_file_named(name), r"manifest\.json")
        for name in (
            "../outside",
            "..",
            ".",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "a\0b",
            "",
            ".hidden",
            "-rf",
            "a" * 200,
            "ä",
            "a\n",
            "file://x",
            "a b",
            "$HOME",
            "~",
        )
    },
    "a file that is the manifest": Hostile(_file_named(MANIFEST), "manifest"),
    "a file that is not there": Hostile(_file_named("nowhere"), "lacks the file nowhere"),
    **{f"file entry with {what}": Hostile(_entries(**update), r"manifest\.json") for what, update in _ENTRIES.items()},
    "another sha256": Hostile(_entries(sha256="0" * 64), "damaged"),
    "a size of a terabyte": Hostile(_entries(bytes=1 << 40), "bytes"),
    "a size beyond all numbers": Hostile(_entries(bytes=10**30), "bytes"),
    "a surplus file": Hostile(lambda path: (path / "surplus").write_bytes(b""), "does not name: 'surplus'"),
    "a surplus folder": Hostile(lambda path: (path / "surplus").mkdir(), "does not name"),
    "a surplus link": Hostile(lambda path: (path / "surplus").symlink_to("/"), "does not name"),
    "a surplus pipe": Hostile(lambda path: os.mkfifo(path / "surplus"), "does not name"),
    "a name that is no text": Hostile(lambda path: Path(os.fsdecode(bytes(path) + b"/\xff\xfe")).touch(), "not name"),
    "a thousand files": Hostile(_crowd, "does not name"),
}
