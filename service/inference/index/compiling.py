"""How the kernels of this package are compiled: without Python's lock, and kept on disk where that can be done."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

_NOT_KEPT = (
    "compiled kernels cannot be kept, so that every start takes some ten seconds: name a folder in NUMBA_CACHE_DIR"
)


def kernel(inline: Literal["never", "always"] = "never", fastmath: bool = False) -> Callable[[F], F]:
    """Compile a function with Numba when it is first called.

    Where no folder can be written to keep it in, it is compiled anew in every process, with a warning.

    Args:
        inline, fastmath: as ``numba.njit`` takes them.
    """

    def compiled(function: F) -> F:
        try:
            return cast(F, numba.njit(nogil=True, cache=True, inline=inline, fastmath=fastmath)(function))
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            warnings.warn(_NOT_KEPT, RuntimeWarning, stacklevel=2)
            return cast(F, numba.njit(nogil=True, inline=inline, fastmath=fastmath)(function))

    return compiled
