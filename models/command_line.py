"""The command line ``vqrec``: a table of commands, each imported when it is called."""

import sys
from errno import EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPERM, EROFS
from importlib.metadata import EntryPoint, entry_points

import click

from models.errors import VqrecError

_GROUP = "vqrec.commands"
_OF_A_DISK = {EACCES, EDQUOT, EFBIG, EIO, ENOSPC, EPERM, EROFS}


class _LazyGroup(click.Group):
    """Commands named by the package's entry points, so that each extra brings its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [entry.name for entry in _entries()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = next((entry for entry in _entries() if entry.name == cmd_name), None)
        if entry is None:
            return None
        try:
            command = entry.load()
        except ImportError as error:
            return _needs_extra(entry, error)
        if not isinstance(command, click.Command):
            raise TypeError(f"the entry point {entry.name} is not a command")
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vqrec")
def cli() -> None:
    """Next-item recommendation from item text, through discrete item codes."""


def main() -> None:
    """Run the command line. An error that the user can act on is one line on standard error, and exit status 1."""
    try:
        cli(prog_name="vqrec", standalone_mode=False)
    except VqrecError as error:
        click.echo(f"vqrec: {error.detail}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _OF_A_DISK:
            raise
        where = f"{error.filename}: " if error.filename else ""  # of a write it is not known
        click.echo(f"vqrec: {where}{error.strerror}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        click.echo(
            f"vqrec: this command needs {error.name}: pip install '.[training]' in a checkout of vqrec", err=True
        )
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("vqrec: interrupted; the same command goes on from here", err=True)
        sys.exit(130)


def _entries() -> list[EntryPoint]:
    found = entry_points(group=_GROUP)
    return sorted(found, key=lambda entry: _PIPELINE.index(entry.name) if entry.name in _PIPELINE else len(_PIPELINE))


# The order in which a shop meets them, and so the order of the help.
_PIPELINE = (
    "sample",
    "prepare",
    "train",
    "pretrain",
    "adapt",
    "evaluate",
    "report",
    "serve",
    "ingest",
    "backup",
    "restore",
    "key",
    "doctor",
)


def _needs_extra(entry: EntryPoint, error: ImportError) -> click.Command:
    extra = entry.value.split(".", maxsplit=1)[0]
    message = (
        f"`vqrec {entry.name}` needs the extra {extra!r}: pip install '.[{extra}]' in a checkout of vqrec ({error})"
    )

    @click.command(entry.name, help=f"Needs the extra {extra!r}.", context_settings={"ignore_unknown_options": True})
    @click.argument("_arguments", nargs=-1, type=click.UNPROCESSED)
    def missing(_arguments: tuple[str, ...]) -> None:
        raise click.ClickException(message)

    return missing
