"""How keys are written down: an entry with the hash of a key, or a key itself with its scopes."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import count
from operator import itemgetter
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from models.manifest import DomainName, Sha256
from service.errors import ConfigurationError
from service.security.keys import MAX_LENGTH, MIN_LENGTH, SCOPES, ApiKey, ApiKeys, Scope, digest_of
from service.security.rate_limit import Rate

MOST_KEYS = 1000
MOST_DOMAINS = 100
_FIRST_WORD = "name="
_OF_THE_EXAMPLE = "replace-me"  # how the keys in docker/api-keys.example begin


def _split(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


class KeyEntry(BaseModel):
    """An entry that holds the hash of a key: ``name=… sha256=… scopes=…``, and what limits it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    # Shorter than a new key, so that one that stands here by mistake is refused and not logged.
    name: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    sha256: Sha256
    scopes: Annotated[frozenset[Scope], BeforeValidator(_split)]
    domains: Annotated[frozenset[DomainName], BeforeValidator(_split), Field(max_length=MOST_DOMAINS)] | None = None
    rate: Annotated[float, Field(ge=0.001, le=1e6)] | None = None
    burst: Annotated[float, Field(ge=1, le=1e6)] | None = None
    expires: date | None = None

    @model_validator(mode="after")
    def _mean_it(self) -> "KeyEntry":
        if self.burst is not None and self.rate is None:
            raise PydanticCustomError("burst_alone", "burst says nothing without rate")
        return self

    def line(self) -> str:
        """The entry as it is written down: the hash last, so that one that is cut off anywhere is none.

        Of a file that is half written, a key would else be taken without what limits it.
        """
        words = {
            "name": self.name,
            "scopes": ",".join(scope for scope in SCOPES if scope in self.scopes),
            "domains": ",".join(sorted(self.domains or ())),
            "rate": "" if self.rate is None else f"{self.rate:.12g}",
            "burst": "" if self.burst is None else f"{self.burst:.12g}",
            "expires": "" if self.expires is None else self.expires.isoformat(),
            "sha256": self.sha256,
        }
        return " ".join(f"{name}={value}" for name, value in words.items() if value)

    def key(self) -> ApiKey:
        rate = Rate.of(self.rate, self.burst) if self.rate is not None else None
        return ApiKey(self.name, bytes.fromhex(self.sha256), self.scopes, self.domains, rate, self.expires)


def parse_keys(text: str, source: str = "API keys", unnamed: str = "key") -> ApiKeys:
    """Read entries, separated by white space; ``#`` starts a comment.

    An entry is ``KEY:scope,scope``, or begins with ``name=`` and goes on with further ``word=value`` to the end of its
    line or the next entry. No word of the latter holds a colon, and every one of the former does.

    Args:
        source: what errors call it.
        unnamed: what the keys that bring no name are called by, with a number.

    Raises:
        ConfigurationError: if an entry cannot be read. The message names its line and never holds a key.
    """
    numbers = count(1)
    keys: list[ApiKey] = []
    for line, content in enumerate(text.splitlines(), start=1):
        for words in _entries(content.partition("#")[0].split()):
            try:
                keys.append(_key(words, f"{unnamed}#{next(numbers)}"))
            except ValueError as error:
                raise ConfigurationError(f"{source}, line {line}: {error}") from None
    return join_keys(ApiKeys(tuple(keys)))


def join_keys(*several: ApiKeys) -> ApiKeys:
    """All of them as one; a key that stands twice and may do the same counts once.

    Raises:
        ConfigurationError: if two keys have one name, two entries of one key differ, or there are too many.
    """
    by_digest: dict[bytes, ApiKey] = {}
    for key in (key for keys in several for key in keys.keys):
        known = by_digest.setdefault(key.digest, key)
        if _rights(known) != _rights(key):
            raise ConfigurationError(
                f"the entries {known.name!r} and {key.name!r} hold one key and allow it different things"
            )
    keys = tuple(by_digest.values())
    name, uses = max(Counter(key.name for key in keys).items(), key=itemgetter(1), default=("", 0))
    if uses > 1:
        raise ConfigurationError(f"{uses} API keys are called {name!r}")
    if len(keys) > MOST_KEYS:
        raise ConfigurationError(f"there are {len(keys)} API keys, and {MOST_KEYS} are read at most")
    return ApiKeys(keys)


def _entries(words: list[str]) -> Iterator[list[str]]:
    """The words of each entry of a line."""
    entry: list[str] = []
    for word in words:
        if entry and (word.startswith(_FIRST_WORD) or ":" in word or ":" in entry[0]):
            yield entry
            entry = []
        entry.append(word)
    if entry:
        yield entry


def _key(words: list[str], unnamed: str) -> ApiKey:
    """Raises ValueError."""
    if ":" in words[0]:
        return _plain_key(words[0], unnamed)
    if not words[0].startswith(_FIRST_WORD):
        raise ValueError(f"an entry is KEY:scope,scope, or begins with {_FIRST_WORD}")
    return _hashed_key(words)


def _plain_key(word: str, unnamed: str) -> ApiKey:
    key, _, listed = word.rpartition(":")
    scopes = listed.split(",")
    if any(scope not in SCOPES for scope in scopes):
        raise ValueError(f"an entry is KEY:scope,scope with scopes of {', '.join(SCOPES)}")
    if not MIN_LENGTH <= len(key) <= MAX_LENGTH:
        raise ValueError(f"a key has {MIN_LENGTH} to {MAX_LENGTH} characters")
    if key.startswith(_OF_THE_EXAMPLE):
        raise ValueError("this key is the example's, which everybody knows: put one of your own there (vqrec key)")
    return ApiKey(unnamed, digest_of(key), frozenset(cast(list[Scope], scopes)), length=len(key))


def _hashed_key(words: list[str]) -> ApiKey:
    given: dict[str, Any] = {}
    for number, word in enumerate(words, start=1):
        name, equals, value = word.partition("=")
        if not equals or name not in KeyEntry.model_fields:
            # What stands there may be a key, so it is counted and not shown.
            raise ValueError(
                f"word {number} of the entry is not one of {', '.join(KeyEntry.model_fields)} with = and a value"
            )
        if name in given:
            raise ValueError(f"the entry says {name} twice")
        given[name] = value
    try:
        return KeyEntry.model_validate(given).key()
    except ValidationError as error:
        raise ValueError(faults_of_entry(error)) from None


def faults_of_entry(error: ValidationError) -> str:
    """What is wrong with an entry, without repeating what it says."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(": ".join([*map(str, fault["loc"][:1]), fault["msg"]]) for fault in faults[:3])


def _rights(key: ApiKey) -> tuple[object, ...]:
    return key.scopes, key.domains, key.rate, key.expires
