"""Every client of a server is made with a limit to its waiting: there is no call here that could hang for ever."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "adapters", "models", "feature_repo", "assets", "orchestration", "serving", "cli", "benchmarks")

NEEDS = {
    "httpx.Client": "timeout",
    "httpx.AsyncClient": "timeout",
    "httpx.get": "timeout",
    "httpx.post": "timeout",
    "httpx.put": "timeout",
    "httpx.request": "timeout",
    "httpx.stream": "timeout",
    "requests.get": "timeout",
    "requests.post": "timeout",
    "requests.request": "timeout",
    "urllib.request.urlopen": "timeout",
    "socket.create_connection": "timeout",
    "http.client.HTTPConnection": "timeout",
    "http.client.HTTPSConnection": "timeout",
    "psycopg.connect": "connect_timeout",
    "psycopg2.connect": "connect_timeout",
    "sqlalchemy.create_engine": "connect_args",
    "redis.Redis.from_url": "socket_timeout",
    "redis.Redis": "socket_timeout",
    "redis.from_url": "socket_timeout",
    "feast.RepoConfig": "online_store",
    "mlflow.MlflowClient": None,
    "mlflow.tracking.MlflowClient": None,
}
"""What makes a client, and the argument that limits its waiting; None where the environment does, see below."""

LIMITED_OTHERWISE = {
    ("adapters/egress.py", "http.client.HTTPConnection"): "it is given a socket that has its limits",
}


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(tree: ast.AST) -> dict[str, str]:
    """Return the full name of everything a module imports, by the name it has there."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def written(function: ast.expr) -> str:
    parts = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    return ".".join([function.id, *reversed(parts)]) if isinstance(function, ast.Name) else ""


def clients(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that makes a client, with its full name."""
    names = imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := written(node.func)):
            first, _, rest = name.partition(".")
            full = names.get(first, first) + (f".{rest}" if rest else "")
            if full in NEEDS:
                yield full, node


def unlimited(text: str) -> list[str]:
    """Return the clients in a module's text that nothing limits; an explicit None limits nothing."""
    found = []
    for name, call in clients(ast.parse(text)):
        wanted = NEEDS[name]
        given = [each.value for each in call.keywords if each.arg == wanted]
        is_limited = wanted is None or any(not (isinstance(v, ast.Constant) and v.value is None) for v in given)
        if not is_limited:
            found.append(name)
    return found


def test_no_client_is_made_without_a_limit_to_its_waiting():
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in sources()
        for name in unlimited(path.read_text())
        if (str(path.relative_to(ROOT)), name) not in LIMITED_OTHERWISE
    }
    assert found == set()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import httpx\nhttpx.Client(base_url='x')", ["httpx.Client"]),
        ("import httpx as h\nh.get('x', timeout=None)", ["httpx.get"]),
        ("from httpx import Client as C\nC(timeout=5)", []),
        ("from sqlalchemy import create_engine\ncreate_engine('x')", ["sqlalchemy.create_engine"]),
        ("import redis\nredis.Redis.from_url('x', socket_connect_timeout=1)", ["redis.Redis.from_url"]),
        ("import urllib.request\nurllib.request.urlopen('x')", ["urllib.request.urlopen"]),
        ("import psycopg\npsycopg.connect('x', connect_timeout=3)", []),
    ],
)
def test_the_rule_sees_a_client_whatever_it_is_called(text, names):
    assert unlimited(text) == names


def test_every_engine_limits_its_connecting_and_its_statements():
    engines = [
        (path.relative_to(ROOT), ast.unparse(call))
        for path in sources()
        for name, call in clients(ast.parse(path.read_text()))
        if name == "sqlalchemy.create_engine"
    ]
    assert engines
    assert [path for path, call in engines if "connect_timeout" not in call or "statement_timeout" not in call] == []


def test_who_speaks_to_mlflow_first_limits_its_retries_and_its_waiting():
    speakers = [path for path in sources() if any("Mlflow" in name for name, _ in clients(ast.parse(path.read_text())))]
    assert [path.name for path in speakers] == ["model_registry.py"]
    for path in speakers:
        set_there = {written(call.func) for call in ast.walk(ast.parse(path.read_text())) if isinstance(call, ast.Call)}
        assert {"MLFLOW_HTTP_REQUEST_MAX_RETRIES.set", "MLFLOW_HTTP_REQUEST_TIMEOUT.set"} <= set_there
