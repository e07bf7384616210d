"""The command ``vqrec key``: a new API key, and the entry that lets the service know it without holding it."""

import sys

import click
from pydantic import ValidationError

from service.security.entries import KeyEntry, faults_of_entry
from service.security.keys import LONG_ENOUGH, MAX_LENGTH, SCOPES, digest_of, new_key

_ADVICE = (
    "The first line is the key: give it to the caller, it is kept nowhere. The second line goes into the file of "
    "VQREC_API_KEYS_FILE, or into VQREC_API_KEYS."
)


@click.command()
@click.option("--name", required=True, help="What logs and metrics call the key.")
@click.option("--scopes", required=True, help=f"What it may do, separated by commas: {', '.join(SCOPES)}.")
@click.option("--domains", help="Where it may do it, separated by commas.  [default: everywhere]")
@click.option("--rate", type=float, help="Requests a second.  [default: VQREC_RATE_LIMIT]")
@click.option("--burst", type=float, help="Requests at once after a pause.  [default: as many as in a second]")
@click.option("--expires", metavar="YYYY-MM-DD", help="The last day on which it is valid, in UTC.  [default: none]")
@click.option("--from-stdin", is_flag=True, help="Read the key from standard input instead of making one.")
def key(*, from_stdin: bool, **limits: str | float | None) -> None:
    """Print a new API key, and the line that makes it valid."""
    value = _given_key() if from_stdin else new_key()
    given = {name: limit for name, limit in limits.items() if limit is not None}
    try:
        entry = KeyEntry.model_validate({**given, "sha256": digest_of(value).hex()})
    except ValidationError as error:
        raise click.ClickException(faults_of_entry(error)) from error
    if not from_stdin:
        click.echo(value)
        click.echo(_ADVICE, err=True)
    click.echo(entry.line())


def _given_key() -> str:
    """Raises ClickException."""
    value = sys.stdin.readline().strip()
    if not LONG_ENOUGH <= len(value) <= MAX_LENGTH:
        raise click.ClickException(f"a key whose hash is kept has {LONG_ENOUGH} to {MAX_LENGTH} characters")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise click.ClickException("a key is made of letters, digits and signs of ASCII, without spaces")
    return value
