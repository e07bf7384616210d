"""One training in several processes, started by ``torchrun``.

Every process holds the whole model and makes the same batches. Of each batch it takes its share of the sequences; the
gradients of the shares are summed, so that a step is the one that a single process would take. All processes see the
same artifact folder.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import distributed, nn

from training.device import choose_device

# A process waits while the first one encodes a catalogue; torchrun ends all of them when one fails.
_LONGEST_WAIT = timedelta(hours=12)
_MOST_AXES = 4


@dataclass(frozen=True)
class Processes:
    """The processes of a training, as one of them sees them.

    Args:
        rank: its number, the first one being 0; that one alone writes and speaks.
        count: how many there are.
        local_rank: its number on its machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def device(self) -> torch.device:
        """What this process computes with."""
        return choose_device(torch.cuda.device_count(), self.local_rank)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make each parameter's gradient the sum of what the processes have; none counts as zero."""
        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            distributed.all_reduce(parameter.grad)

    def sum(self, value: torch.Tensor) -> float:
        """The sum of a scalar over the processes."""
        total = value.detach().clone()
        if self.count > 1:
            distributed.all_reduce(total)
        return float(total)

    def number_from_first(self, compute: Callable[[], float]) -> float:
        """What the first process computes, in every process."""
        number = torch.tensor([compute() if self.is_first else 0.0], dtype=torch.float64)
        if self.count > 1:
            distributed.broadcast(number, src=0)
        return float(number)

    def array_from_first(self, array: npt.NDArray[np.float32] | None) -> npt.NDArray[np.float32]:
        """The first process's float32 array of at most four axes, in every process; the others bring None.

        Raises:
            ValueError: if the first process brings none.
        """
        if self.is_first and array is None:
            raise ValueError("the first process has no array to share")
        if self.count == 1 and array is not None:
            return array
        shape = torch.zeros(_MOST_AXES, dtype=torch.int64)
        if array is not None:
            shape[: array.ndim] = torch.tensor(array.shape)
        distributed.broadcast(shape, src=0)
        sizes = [size for size in shape.tolist() if size]
        shared = torch.empty(sizes) if array is None else torch.from_numpy(np.array(array, dtype=np.float32))
        distributed.broadcast(shared, src=0)
        return np.asarray(shared.numpy())

    def text_from_first(self, text: str | None) -> str:
        """The first process's text, not empty, in every process; as :meth:`array_from_first`."""
        letters = None if text is None else np.frombuffer(text.encode(), dtype=np.uint8).astype(np.float32)
        return self.array_from_first(letters).astype(np.uint8).tobytes().decode()

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """The others enter when the first process has left: what it wrote, they find."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            distributed.barrier()

    @contextmanager
    def first_speaks(self) -> Iterator[None]:
        """Within, what the others would say on standard error is left out. Errors are raised as ever."""
        with Path(os.devnull).open("w") as nowhere, nullcontext() if self.is_first else redirect_stderr(nowhere):
            yield


ALONE = Processes()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes that ``torchrun`` started, or this one alone where it was started by itself.

    The only place that asks. They talk by gloo, and GPUs among themselves by NCCL.
    """
    if not distributed.is_torchelastic_launched():
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
    try:
        local_rank = distributed.get_node_local_rank(fallback_rank=0)
        processes = Processes(distributed.get_rank(), distributed.get_world_size(), local_rank)
        if processes.device.type == "cuda":
            torch.cuda.set_device(processes.device)
        yield processes
    finally:
        distributed.destroy_process_group()
