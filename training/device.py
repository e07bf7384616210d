"""Where tensors are computed with: a GPU where there is one, else the CPU."""

import torch


def choose_device(cuda_devices: int, local_rank: int = 0) -> torch.device:
    """The device of a process.

    Args:
        cuda_devices: how many GPUs this machine offers.
        local_rank: the number of the process on this machine; processes take the GPUs by turns.
    """
    return torch.device("cuda", local_rank % cuda_devices) if cuda_devices else torch.device("cpu")


def mixed_precision(device: torch.device) -> torch.autocast:
    """The context of a forward pass: bfloat16 where a GPU multiplies, float32 all through on a CPU."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
