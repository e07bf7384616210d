"""Which device a process computes with, and in which precision."""

import pytest
import torch

from training.device import choose_device, mixed_precision


@pytest.mark.parametrize(
    ("cuda_devices", "local_rank", "expected"),
    [(0, 0, "cpu"), (0, 3, "cpu"), (1, 0, "cuda:0"), (4, 2, "cuda:2"), (2, 3, "cuda:1")],
)
def test_a_gpu_is_taken_where_there_is_one_and_processes_take_turns(
    cuda_devices: int, local_rank: int, expected: str
) -> None:
    assert choose_device(cuda_devices, local_rank) == torch.device(expected)


def test_a_cpu_multiplies_in_full_precision() -> None:
    with mixed_precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
