"""Kernels are kept where they can be, and work where they cannot."""

from typing import Any

import pytest

from service.inference.index.compiling import kernel


def _doubled(number: int) -> int:
    return 2 * number


def test_a_kernel_is_kept_beside_its_file() -> None:
    compiled: Any = kernel()(_doubled)
    assert compiled(21) == 42
    assert compiled.stats.cache_path is not None


def test_a_kernel_that_nothing_can_keep_is_compiled_all_the_same_and_says_so() -> None:
    names: dict[str, Any] = {}
    exec("def tripled(number):\n    return 3 * number\n", names)  # noqa: S102 - of no file, so it has no folder either
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        compiled = kernel()(names["tripled"])
    assert compiled(14) == 42
    assert compiled.stats.cache_path is None
