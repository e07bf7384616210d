"""The course of a training, number by number, for whoever watches it."""

from pathlib import Path

from models.errors import VqrecError


class MissingExtraError(VqrecError):
    """A package of an extra is asked for and not installed."""

    slug = "missing-extra"
    title = "Missing extra"


class Journal:
    """Takes note of numbers at the current step; this one forgets them.

    ``step`` counts batches since the training began, and is moved on by the loop.
    """

    step: int = 0

    def note(self, name: str, value: float) -> None:
        """``name`` is a path, such as ``valid/ndcg@10``."""

    def close(self) -> None:
        """No note follows."""


class TensorBoardJournal(Journal):
    """Writes event files into a folder, for ``tensorboard --logdir``. A resumed training goes on in the same folder.

    Raises:
        MissingExtraError: if the package ``tensorboard`` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - of an extra
        except ImportError as error:
            raise MissingExtraError(
                "--tensorboard needs the package tensorboard: pip install '.[tensorboard]' in a checkout of vqrec"
            ) from error
        self._writer = SummaryWriter(folder)

    def note(self, name: str, value: float) -> None:
        self._writer.add_scalar(name, value, self.step)

    def close(self) -> None:
        self._writer.close()
