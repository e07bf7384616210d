"""How keys are written down."""

from datetime import date
from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.security.entries import MOST_KEYS, KeyEntry, join_keys, parse_keys
from service.security.keys import ApiKey, ApiKeys, digest_of
from service.security.rate_limit import Rate

HASH = digest_of("one-that-is-long-enough-to-be-hashed").hex()
OTHER = digest_of("another-that-is-long-enough-to-be-hashed").hex()
LEAST = f"name=shop sha256={HASH} scopes=read"


def test_keys_themselves_stand_with_their_scopes() -> None:
    text = "# of the shop\nreader-key:read  # the storefront\n\nwith:colon:read,ingest name=not:admin"
    keys = parse_keys(text, unnamed="file").keys
    assert [(key.name, set(key.scopes), key.length) for key in keys] == [
        ("file#1", {"read"}, 10),
        ("file#2", {"read", "ingest"}, 10),
        ("file#3", {"admin"}, 8),
    ]
    assert keys[1].digest == digest_of("with:colon")


def test_an_entry_with_a_hash_says_what_limits_the_key() -> None:
    line = f"name=Shop_1.a scopes=read,ingest sha256={HASH} domains=garden,outdoor rate=0.5 burst=20 expires=2027-12-31"
    (key,) = parse_keys(line).keys
    assert key == ApiKey(
        name="Shop_1.a",
        digest=bytes.fromhex(HASH),
        scopes=frozenset(["read", "ingest"]),
        domains=frozenset(["garden", "outdoor"]),
        rate=Rate(per_second=0.5, burst=20.0),
        expires=date(2027, 12, 31),
    )


def test_what_is_left_out_limits_nothing() -> None:
    (key,) = parse_keys(LEAST).keys
    assert (key.domains, key.rate, key.expires, key.expires_at) == (None, None, None, float("inf"))


@pytest.mark.parametrize(("rate", "burst"), [("200", 200.0), ("0.25", 1.0)])
def test_without_a_burst_it_is_what_a_second_brings(rate: str, burst: float) -> None:
    (key,) = parse_keys(f"{LEAST} rate={rate}").keys
    assert key.rate == Rate(float(rate), burst)


def test_both_forms_stand_side_by_side_also_on_one_line() -> None:
    text = f"reader-key:read name=one sha256={HASH} scopes=read name=two scopes=admin sha256={OTHER} other-key:ingest"
    assert [key.name for key in parse_keys(text).keys] == ["key#1", "one", "two", "key#4"]


def test_what_is_printed_is_what_is_read() -> None:
    entry = KeyEntry.model_validate(
        {
            "name": "a",
            "sha256": HASH,
            "scopes": "admin,read",
            "domains": "b,a",
            "rate": 1e6,
            "burst": 1.5,
            "expires": "2030-01-01",
        }
    )
    line = entry.line()
    assert line == f"name=a scopes=read,admin domains=a,b rate=1000000 burst=1.5 expires=2030-01-01 sha256={HASH}"
    assert parse_keys(line).keys == (entry.key(),)
    for end in range(1, len(line)):  # of a file that is half written, or whose disk was full
        with pytest.raises(ConfigurationError):
            parse_keys(line[:end])


SECRET = "vqrec_this-must-never-be-shown"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (SECRET, "KEY:scope,scope, or begins with name="),
        (f"{SECRET}:", "scopes of read, ingest, admin"),
        (f"{SECRET}:write", "scopes of read, ingest, admin"),
        (f"{SECRET}:read,", "scopes of read, ingest, admin"),
        ("short:read", "8 to 1024 characters"),
        ("x" * 1025 + ":read", "8 to 1024 characters"),
        (f"sha256={HASH} name=a scopes=read", "begins with name="),
        (f"{LEAST} {SECRET}", "word 4 of the entry is not one of name, sha256"),
        (f"{LEAST} {SECRET}=1", "word 4 of the entry is not one of name, sha256"),
        (f"{LEAST} colour=red", "word 4"),
        (f"{LEAST} scopes=admin", "says scopes twice"),
        (f"name={SECRET}-{'x' * 20} sha256={HASH} scopes=read", "name: String should have at most 40 characters"),
        (f"name=a/b sha256={HASH} scopes=read", "name: String should match"),
        (f"name= sha256={HASH} scopes=read", "name: String should match"),
        (f"name=a sha256={SECRET} scopes=read", "sha256: String should match"),
        (f"name=a sha256={HASH.upper()} scopes=read", "sha256: String should match"),
        ("name=a scopes=read", "sha256: Field required"),
        (f"name=a sha256={HASH}", "scopes: Field required"),
        (f"name=a sha256={HASH} scopes=", "scopes: Input should be 'read', 'ingest' or 'admin'"),
        (f"name=a sha256={HASH} scopes=read,{SECRET}", "scopes: Input should be 'read', 'ingest' or 'admin'"),
        (f"{LEAST} domains=", "domains: String should match"),
        (f"{LEAST} domains=Shop", "domains: String should match"),
        (
            f"{LEAST} domains={','.join(f'd{number}' for number in range(101))}",
            "domains: Value should have at most",
        ),
        (f"{LEAST} rate=0", "rate: Input should be greater"),
        (f"{LEAST} rate=nan", "rate: Input should be a finite number"),
        (f"{LEAST} rate=fast", "rate: Input should be a valid number"),
        (f"{LEAST} rate=1 burst=0.5", "burst: Input should be greater"),
        (f"{LEAST} burst=5", "burst says nothing without rate"),
        (f"{LEAST} expires=tomorrow", "expires: Input should be a valid date"),
    ],
)
def test_a_wrong_entry_is_told_by_its_line_and_without_the_key(line: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_keys(f"\nfine-key:read\n# more\n{line}", "the file")
    assert raised.value.detail.startswith("the file, line 4: ")
    assert says in raised.value.detail
    assert SECRET not in repr(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"name=a sha256={HASH} scopes=read\nname=a sha256={OTHER} scopes=read", "2 API keys are called 'a'"),
        (f"name=a sha256={HASH} scopes=read\nname=b sha256={HASH} scopes=admin", "'a' and 'b' hold one key"),
        ("reader-key:read reader-key:admin", "'key#1' and 'key#2' hold one key"),
        ("\n".join(f"reader-key-{number}:read" for number in range(MOST_KEYS + 1)), "1000 are read at most"),
    ],
)
def test_entries_that_contradict_each_other_are_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_keys(text)


def test_a_key_that_stands_twice_and_may_do_the_same_counts_once() -> None:
    keys = join_keys(
        parse_keys("reader-key:read", unnamed="environment"), parse_keys("reader-key:read", unnamed="file")
    )
    assert [key.name for key in keys.keys] == ["environment#1"]
    assert len(parse_keys("\n".join(f"reader-key-{number}:read" for number in range(MOST_KEYS))).keys) == MOST_KEYS


def test_nothing_is_no_key() -> None:
    assert parse_keys("# nothing\n \n") == join_keys() == ApiKeys()


def test_the_keys_of_the_example_open_nothing() -> None:
    example = Path(__file__).parents[3] / "docker" / "api-keys.example"
    with pytest.raises(ConfigurationError, match=r"line \d+: this key is the example's"):
        parse_keys(example.read_text())
