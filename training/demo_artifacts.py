"""What the demo has trained, so that it is trained once: kept with what it was trained of."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from training.dataset import load_dataset
from training.replace_file import replace_files

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("models", "training")


class Trained(BaseModel):
    """Adapters by shop, and what they were trained of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: dict[str, str]
    adapters: dict[str, Path]


def identity(shops: Mapping[str, Path], options: str) -> dict[str, str]:
    """What a training comes out by: its data, its options, and the code that is run. By name, so that it can be read.

    Args:
        shops: name ─► folder of items and interactions.
        options: of the commands.
    """
    code = hashlib.sha256()
    for path in sorted(path for package in _PACKAGES for path in (_ROOT / package).rglob("*.py")):
        code.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    data = {name: load_dataset(folder).fingerprint for name, folder in shops.items()}
    return {**data, "options": options, "code": code.hexdigest()}


def trained_once(
    record: Path, of: Mapping[str, str], train: Callable[[], Mapping[str, Path]], say: Callable[[str], object]
) -> dict[str, Path]:
    """The adapters that were trained of the same before, if they are all there; else those that ``train`` gives.

    Args:
        record: the file in which it is kept.
        of: what it is trained of, see :func:`identity`.
        train: trains, and gives an adapter for each shop.
        say: is told why nothing, or something, is trained.
    """
    before = _read(record)
    if before is not None:
        changed = sorted(name for name in {*of, *before.of} if of.get(name) != before.of.get(name))
        gone = [str(path) for path in before.adapters.values() if not path.is_dir()]
        if not changed and not gone:
            say(f"Trained before, of the same: {record} tells what. Without that file it is trained anew.")
            return dict(before.adapters)
        why = f"{' and '.join(changed)} changed" if changed else f"{' and '.join(gone)} is gone"
        say(f"Trained anew, since {why}.")
    adapters = dict(train())
    document = Trained(of=dict(of), adapters=adapters).model_dump_json(indent=2) + "\n"
    replace_files({record: lambda beside: beside.write_text(document)})
    return adapters


def _read(record: Path) -> Trained | None:
    try:
        return Trained.model_validate_json(record.read_bytes())
    except (FileNotFoundError, ValidationError):  # what is of another form is of another version of this
        return None
