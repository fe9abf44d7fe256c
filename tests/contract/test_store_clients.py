"""Every Redis client has timeouts and no hidden retries, because there is one place that makes them."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

from redis.backoff import NoBackoff

from adapters.redis.client import connect

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "adapters", "models", "feature_repo", "assets", "orchestration", "serving", "cli", "benchmarks")
MAKER = ROOT / "adapters" / "redis" / "client.py"
MAKES_A_CLIENT = {
    "Redis",
    "StrictRedis",
    "RedisCluster",
    "Sentinel",
    "from_url",
    "ConnectionPool",
    "BlockingConnectionPool",
}


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def calls(tree: ast.AST) -> set[str]:
    functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {f.id if isinstance(f, ast.Name) else f.attr for f in functions if isinstance(f, ast.Name | ast.Attribute)}


def test_a_redis_client_is_made_in_one_place_only():
    makers = [path for path in sources() if calls(ast.parse(path.read_text())) & MAKES_A_CLIENT]
    assert makers == [MAKER]


def test_that_place_sets_every_limit():
    settings = connect("redis://:secret@127.0.0.1:1/3", timeout_ms=50).connection_pool.connection_kwargs
    assert (settings["socket_timeout"], settings["socket_connect_timeout"], settings["db"]) == (0.05, 0.05, 3)
    assert settings["retry"].get_retries() == 0
    assert isinstance(settings["retry"]._backoff, NoBackoff)


def test_feast_uses_our_client_and_never_its_own():
    from adapters.redis.online_store import KairosOnlineStore, KairosOnlineStoreConfig

    config = SimpleNamespace(online_store=KairosOnlineStoreConfig(url="redis://127.0.0.1:1", timeout_ms=50))
    client = KairosOnlineStore().client(config)
    assert client.connection_pool.connection_kwargs["socket_timeout"] == 0.05


def test_redis_keys_are_built_in_one_module():
    names = re.compile(r"engagement:v\d")
    assert [p.name for p in sources() if names.search(p.read_text())] == ["keys.py"]
