"""A service with a large catalogue: what it is seeded with, what it is asked, and the memory of its process."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.made_up_items import MadeUpItems, Names
from benchmarks.scaled import DOMAIN, real_places, scaled_codes, served_model
from benchmarks.seeding import seed
from benchmarks.setting import Setting
from models.adapter import DomainAdapter
from models.codes import Codes
from training.evaluate import ServedModel
from training.histories import split_leave_one_out


@dataclass(frozen=True, eq=False)
class LargeCatalogue:
    """A scaled catalogue and its questions.

    Args:
        model: the adapter that coded it, with its network.
        artifacts: the store that the adapter lies in.
        items: ids, texts and attributes.
        codes: [n, D].
        histories: of real test users of ``DOMAIN``, as places in the catalogue; those with too few items there are
            left out.
    """

    model: ServedModel
    artifacts: Path
    items: MadeUpItems
    codes: Codes
    histories: list[npt.NDArray[np.int64]]

    @property
    def adapter(self) -> DomainAdapter:
        return self.model.adapter

    @property
    def adapter_path(self) -> Path:
        return self.adapter.bundle.path

    def seed(self, url: str) -> None:
        """Write the catalogue into the Redis server at ``url``."""
        seed(url, DOMAIN, self.adapter, self.items.records(len(self.codes)), self.codes)

    def bodies(self, limit: int = 10, exclude_history: bool = True) -> Iterator[dict[str, object]]:
        """A question for every history."""
        for history in self.histories:
            ids = [self.items.names.id_of(place) for place in history.tolist()]
            yield {"history": ids, "limit": limit, "exclude_history": exclude_history}

    def write_bodies(self, path: Path, limit: int = 10) -> Path:
        """The same, one a line, as the load generator reads them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(body) + "\n" for body in self.bodies(limit)))
        return path


def large_catalogue(setting: Setting, n: int) -> LargeCatalogue:
    """The first ``n`` items of the scaled catalogue with what the setting's adapter makes of them."""
    model = served_model(setting)
    dataset = setting.dataset(DOMAIN)
    places = real_places(setting, DOMAIN)
    items = MadeUpItems(item_names(setting), dataset.texts)
    test = split_leave_one_out(dataset.histories).test
    known = (places[history] for history in test.histories)
    inside = (history[history < n] for history in known)
    histories = [history for history in inside if len(history)]
    codes = scaled_codes(setting, model, n)
    return LargeCatalogue(model, setting.artifacts.resolve(), items, codes, histories)


def item_names(setting: Setting) -> Names:
    """Ids of a scaled catalogue, in which the items of ``DOMAIN`` keep their own."""
    places = real_places(setting, DOMAIN).tolist()
    return Names(dict(zip(places, setting.dataset(DOMAIN).item_ids, strict=True)))


@dataclass(frozen=True)
class Resident:
    """Bytes of a process that are in memory, now and at most so far."""

    now: int
    peak: int


def resident_bytes(pid: int) -> Resident:
    """Read from the kernel's account of the process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS:", "VmHWM:"))}
    return Resident(kilobytes["VmRSS:"] * 1024, kilobytes["VmHWM:"] * 1024)
