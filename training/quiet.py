"""Keeps what the exporters note for their own developers out of the user's terminal."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("torch.onnx", "transformers", "onnxscript")


@contextmanager
def quiet_exporters() -> Iterator[None]:
    """Silence warnings and everything below an error from torch's ONNX exporter and transformers."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
