"""What a process of ours is started with: these very settings, and nothing of the shell we happen to run in."""

from pathlib import Path
from typing import Any, cast

from adapters.settings import Settings
from cli.services import Site, environment


def a_site(**settings: Any) -> Site:
    return Site(Settings(**settings), endpoints=cast("Any", None), ports={})


def test_a_process_reads_back_the_settings_it_was_started_with():
    given = {"data_dir": Path("/srv/kairos"), "api_port": 3100, "holdout_share": 0.1, "secret_key": "k" * 32}
    assert Settings.from_env(environment(a_site(**given))) == Settings(**given)


def test_a_variable_of_the_shell_that_no_process_needs_is_left_out(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "somebody's")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert not {"AWS_SECRET_ACCESS_KEY", "PYTHONPATH"} & environment(a_site()).keys()


def test_what_one_service_needs_is_added():
    assert environment(a_site(), DAGSTER_HOME="/srv/dagster")["DAGSTER_HOME"] == "/srv/dagster"
