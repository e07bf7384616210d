"""Damaged and hostile artifacts. Each damage takes the folder of a sound one and leaves one that must be refused.

Where a fault lies inside a file, the manifest is rewritten to vouch for it, so that a reader gets as far as the fault.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from models.bundle import MANIFEST

Damage = Callable[[Path], object]
Tensors = dict[str, npt.NDArray[Any]]
Array = npt.NDArray[Any]

_READ = 1 << 20  # of a file whose holes hold a terabyte, the rest is nothing


class Hostile(NamedTuple):
    """A damage, and what the refusal must say (a regular expression)."""

    damage: Damage
    fault: str


class WrongArray(NamedTuple):
    """What is done to an array of floats, and what the refusal must say (a regular expression)."""

    change: Callable[[Array], Array]
    fault: str


def copy_of(source: Path, folder: Path, damage: Damage) -> Path:
    """A damaged copy of the artifact at ``source``."""
    path = folder / "artifact"
    shutil.copytree(source, path)
    damage(path)
    return path


def digest_of(path: Path) -> str:
    """What tells a folder from others: the names, kinds and contents of all that lies in it."""
    digest = hashlib.sha256()
    for entry in sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name)):
        status = entry.stat(follow_symlinks=False)
        head = b""
        if stat.S_ISLNK(status.st_mode):
            head = os.fsencode(Path(entry.path).readlink())
        elif stat.S_ISREG(status.st_mode):
            with Path(entry.path).open("rb") as file:
                head = file.read(_READ)
        digest.update(repr((os.fsencode(entry.name), stat.S_IFMT(status.st_mode), status.st_size)).encode() + head)
    return digest.hexdigest()


def vouch(path: Path, name: str, data: bytes) -> None:
    """Write a file and let the manifest vouch for it."""
    (path / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    change_manifest(path, lambda document: document["files"].update({name: entry}))


def vouching(name: str, data: bytes) -> Damage:
    return lambda path: vouch(path, name, data)


def change_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((path / MANIFEST).read_text())
    change(document)
    (path / MANIFEST).write_text(json.dumps(document))


def change_tensors(name: str, change: Callable[[Tensors], Tensors]) -> Damage:
    """Let a safetensors file hold something else."""

    def damage(path: Path) -> None:
        tensors = change(dict(load_safetensors((path / name).read_bytes())))
        data = save_safetensors({key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()})
        vouch(path, name, data)

    return damage


def one_tensor(name: str, tensor: str, change: Callable[[Array], Array]) -> Damage:
    return change_tensors(name, lambda tensors: {**tensors, tensor: change(tensors[tensor])})


def wrong_arrays() -> dict[str, WrongArray]:
    """What can be wrong with an array of floats."""
    shapes: dict[str, Callable[[Array], Array]] = {
        "short": lambda array: array[:-1],
        "narrow": lambda array: array[..., :-1],
        "long": lambda array: np.concatenate([array, array]),
        "nested": lambda array: array[None],
        "empty": lambda array: array[:0],
        "of no width": lambda array: array[..., :0],
        "scalar": lambda array: np.array(1, dtype=array.dtype),
    }
    found = {what: WrongArray(change, r"\[[\w, ]+\]|manifest says") for what, change in shapes.items()}
    for dtype in (np.float64, np.float16, np.int32, np.uint8, np.bool_, np.complex64):
        found[np.dtype(dtype).name] = WrongArray(lambda array, dtype=dtype: array.astype(dtype), "float32")  # type: ignore[misc]
    for value in (np.nan, np.inf, -np.inf):
        found[f"one {value}"] = WrongArray(lambda array, value=value: _with_last(array, value), "finite")  # type: ignore[misc]
        found[f"all {value}"] = WrongArray(lambda array, value=value: np.full_like(array, value), "finite")  # type: ignore[misc]
    return found


def _with_last(array: Array, value: float) -> Array:
    changed = array.copy()
    changed.flat[-1] = value
    return changed


def file_damages(name: str) -> dict[str, Hostile]:
    """What can become of a file that the manifest vouches for as it was."""

    def rewritten(change: Callable[[bytes], bytes]) -> Damage:
        return lambda path: (path / name).write_bytes(change((path / name).read_bytes()))

    def replaced(make: Callable[[Path], object]) -> Damage:
        def damage(path: Path) -> None:
            (path / name).rename(path.parent / "aside")
            make(path / name)

        return damage

    faults: dict[str, tuple[Damage, str]] = {
        "first byte flipped": (rewritten(lambda data: bytes([data[0] ^ 1]) + data[1:]), "damaged"),
        "last byte flipped": (rewritten(lambda data: data[:-1] + bytes([data[-1] ^ 128])), "damaged"),
        "zeros": (rewritten(lambda data: bytes(len(data))), "damaged"),
        "reversed": (rewritten(lambda data: data[::-1][1:] + b"!"), "damaged"),
        "cut": (rewritten(lambda data: data[: len(data) // 2]), "bytes"),
        "emptied": (rewritten(lambda _: b""), "bytes"),
        "longer": (rewritten(lambda data: data + b"\0"), "bytes"),
        "a sparse terabyte": (lambda path: os.truncate(path / name, 1 << 40), "bytes"),
        "lost": (lambda path: (path / name).unlink(), "lacks the file"),
        "a link": (replaced(lambda file: file.symlink_to(file.parent.parent / "aside")), "lacks the file"),
        "a link to nothing": (replaced(lambda file: file.symlink_to("nothing")), "lacks the file"),
        "a link to itself": (replaced(lambda file: file.symlink_to(file)), "lacks the file"),
        "a folder": (replaced(lambda file: file.mkdir()), "lacks the file"),
        "a pipe": (replaced(os.mkfifo), "lacks the file"),
        "a device": (replaced(lambda file: file.symlink_to("/dev/zero")), "lacks the file"),
    }
    return {f"{name} {what}": Hostile(damage, fault) for what, (damage, fault) in faults.items()}


def without(tensors: Tensors, name: str) -> Tensors:
    return {other: tensor for other, tensor in tensors.items() if other != name}


def said(**update: object) -> Damage:
    return lambda path: change_manifest(path, lambda document: document.update(update))
