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
