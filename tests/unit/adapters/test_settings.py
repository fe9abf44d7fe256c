"""The environment is read by name: whatever is wrong is named, whatever is secret is not shown."""

import re

import pytest

from adapters.settings import BadSettings, Settings


def test_nothing_needs_to_be_set():
    assert Settings.from_env({}) == Settings()


def test_a_variable_of_ours_is_read_and_others_are_ignored():
    assert Settings.from_env({"KAIROS_API_PORT": "3333", "HOME": "/nowhere", "API_PORT": "1"}).api_port == 3333


def test_everything_wrong_is_named_at_once():
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({"KAIROS_API_PRT": "1", "KAIROS_MLFLOW_PORT": "many", "KAIROS_SECRET_KEY": "short"})
    assert all(name in str(caught.value) for name in ("KAIROS_API_PRT", "KAIROS_MLFLOW_PORT", "KAIROS_SECRET_KEY"))


def test_a_refused_value_is_not_echoed():
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({"KAIROS_SECRET_KEY": "hunter2", "KAIROS_LOG_LEVEL": "hunter3"})
    assert "hunter" not in str(caught.value)


def test_secrets_do_not_show_in_the_settings_text():
    settings = Settings.from_env({"KAIROS_POSTGRES_URL": "postgresql://u:hunter2@h/d", "KAIROS_SECRET_KEY": "k" * 32})
    assert "hunter2" not in repr(settings)
    assert "k" * 32 not in repr(settings)


def test_an_empty_variable_is_an_unset_one():
    assert Settings.from_env({"KAIROS_POSTGRES_URL": "", "KAIROS_API_PORT": ""}) == Settings()


@pytest.mark.parametrize("port", ["0", "-1", "65536"])
def test_a_port_is_a_port(port):
    with pytest.raises(BadSettings, match="KAIROS_API_PORT"):
        Settings.from_env({"KAIROS_API_PORT": port})


LOOKS_SECRET = re.compile(r"secret|password|token$|(^|_)keys?$")


def test_no_secret_has_a_default():
    fields = Settings.model_fields
    secret = {name for name, field in fields.items() if "SecretStr" in str(field.annotation)}
    assert {"secret_key", "key_encryption_keys", "api_key", "postgres_url", "redis_url"} <= secret
    assert {name: fields[name].default for name in secret} == dict.fromkeys(secret)
    named = {name for name in fields if LOOKS_SECRET.search(name)}
    # A path says where a secret is; it is none itself.
    assert {name for name in named - secret if "Path" not in str(fields[name].annotation)} == set()
