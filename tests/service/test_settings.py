"""What the environment says."""

from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.settings import Settings, environment_name, load_settings, unknown_variables


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://somewhere")
    monkeypatch.setenv("VQREC_ARTIFACTS", "/models")
    monkeypatch.setenv("VQREC_ADAPTER_URL_PREFIXES", "s3://one/ gs://two/")
    settings = load_settings()
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == "redis://somewhere"
    assert settings.artifacts == Path("/models")
    assert settings.adapter_url_prefixes == ("s3://one/", "gs://two/")


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQREC_ARTIFACTS", "/models")
    assert load_settings(artifacts=Path("/mine"), data_dir=None).artifacts == Path("/mine")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    assert load_settings().redis_url is None


def test_a_wrong_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VQREC_QUEUE_SIZE", "minus-three")
    with pytest.raises(ConfigurationError, match="VQREC_QUEUE_SIZE") as raised:
        load_settings()
    assert "minus-three" not in raised.value.detail


@pytest.mark.parametrize("name", sorted(set(Settings.model_fields) - {"redis_url"}))
def test_white_space_alone_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(environment_name(name), " \t")
    with pytest.raises(ConfigurationError, match=f"{environment_name(name)}: it holds nothing but white space"):
        load_settings()


NUMBERS = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float, float | None)]


@pytest.mark.parametrize("value", ["-1", "1e400", "nan", "9" * 30, "many", "0x10"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_no_machine_has_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(environment_name(name), value)
    with pytest.raises(ConfigurationError, match=f"^{environment_name(name)}: it must be ") as raised:
        load_settings()
    assert ";" not in raised.value.detail


@pytest.mark.parametrize("value", ["http://", "collector", "ftp://collector/v1/traces"])
def test_a_collector_that_is_no_url_is_a_mistake(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("VQREC_TRACES_URL", value)
    with pytest.raises(ConfigurationError, match=r"^VQREC_TRACES_URL: .*URL"):
        load_settings()


def test_a_redis_url_that_is_none_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hid/den@localhost")
    with pytest.raises(ConfigurationError, match=r"^REDIS_URL: this is not a Redis URL .* %2F") as raised:
        load_settings()
    assert "hid" not in raised.value.detail
    assert "hid" not in str(raised.value.__cause__)


def test_a_variable_that_is_no_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    before = unknown_variables()
    monkeypatch.setenv("VQREC_QUEUE_SIZ", "3")
    monkeypatch.setenv("VQREC_QUEUE_SIZE", "3")
    monkeypatch.setenv("VQREC_API_KEY", "of the command that ingests")
    assert set(unknown_variables()) - set(before) == {"VQREC_QUEUE_SIZ"}


def test_every_setting_is_described_and_secrets_do_not_show() -> None:
    assert all(field.description for field in Settings.model_fields.values())
    settings = load_settings(api_keys="hidden-key:read", redis_url="redis://:hidden@host")
    assert "hidden" not in str(settings)
    assert environment_name("redis_url") == "REDIS_URL"


def test_keys_of_both_settings_are_valid(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# two\nfirst-key:read\nother-key:admin\n")
    keys = load_settings(api_keys="third-key:ingest", api_keys_file=tmp_path / "keys").load_api_keys()
    for value, scope in ((b"first-key", "read"), (b"other-key", "admin"), (b"third-key", "ingest")):
        key = keys.find(value)
        assert key is not None
        assert key.scopes == {scope}


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "broken"])
def test_a_file_of_keys_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError):
        load_settings(api_keys_file=path).load_api_keys()
