"""The command ``vqrec key``: a new API key, and the entry that lets the service know it without holding it."""

import re
import sys
from datetime import UTC, datetime

import click
from pydantic import ValidationError

from service.security.entries import KeyEntry, faults_of_entry
from service.security.keys import LONG_ENOUGH, MAX_LENGTH, SCOPES, digest_of, new_key

_RULES = {
    "name": "takes up to 40 letters, digits, '.', '_' and '-', the first a letter or a digit, such as storefront-1",
    "scopes": f"takes some of {', '.join(SCOPES)}, separated by commas, such as read,ingest",
    "domains": (
        "takes names of domains, separated by commas, such as outdoor,garden: each 1 to 63 lower-case letters, digits, "
        "'-' and '_', the first a letter or a digit"
    ),
    "rate": "takes requests a second, 0.001 to 1,000,000, such as 50",
    "burst": "takes requests at once, 1 to 1,000,000, such as 100",
    "expires": "takes the last day as YYYY-MM-DD, such as 2030-12-31",
}
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
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(given.get("expires", "2030-12-31")), re.ASCII):
        raise click.ClickException(_told("expires"))  # else a number would be read as seconds
    try:
        entry = KeyEntry.model_validate({**given, "sha256": digest_of(value).hex()})
    except ValidationError as error:
        raise click.ClickException(_faults(error)) from error
    if entry.expires is not None and entry.expires < datetime.now(UTC).date():
        raise click.ClickException(f"--expires {entry.expires} is past: the key would never be valid")
    if not from_stdin:
        click.echo(value)
        click.echo(_ADVICE, err=True)
    click.echo(entry.line())


def _faults(error: ValidationError) -> str:
    """What to give instead, one line an option; what was given is not repeated, as it may be a key."""
    options = dict.fromkeys(str(fault["loc"][0]) for fault in error.errors(include_input=False) if fault["loc"])
    told = [_told(name) for name in options if name in _RULES]
    return "\n".join(told) if len(told) == len(options) > 0 else faults_of_entry(error)


def _told(option: str) -> str:
    return f"--{option} {_RULES[option]}"


def _given_key() -> str:
    """Raises ClickException."""
    value = sys.stdin.readline().strip()
    if not LONG_ENOUGH <= len(value) <= MAX_LENGTH:
        raise click.ClickException(f"a key whose hash is kept has {LONG_ENOUGH} to {MAX_LENGTH} characters")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise click.ClickException("a key is made of letters, digits and signs of ASCII, without spaces")
    return value
