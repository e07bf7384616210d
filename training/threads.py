"""How torch's threads wait for each other."""

import os


def wait_without_spinning() -> None:
    """Let OpenMP's idle threads sleep. To be called before torch is imported; a setting of the user's own stays.

    By default they spin, and where another process wants the processor too, a training on two cores becomes ten times
    slower than it is alone, since each thread burns its time waiting for one that is not scheduled.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
