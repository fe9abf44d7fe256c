"""The embedded Valkey: durable enough for a stream, closed to strangers, never down because of a damaged file."""

import os
import socket
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.embedded.folder_lock import Locked
from adapters.embedded.ports import PortInUse
from adapters.embedded.processes import StartFailed
from adapters.embedded.valkey import EmbeddedValkey, start_valkey


def start(home: Path, port: int | None = None) -> EmbeddedValkey:
    return start_valkey(home / "valkey", log=home / "valkey.log", port=port)


def client(server: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=5, socket_connect_timeout=5)


def test_values_survive_a_stop_and_the_url_stays_valid_on_the_same_port(tmp_path):
    with start(tmp_path) as server, client(server) as link:
        link.set("kept", 7)
    with start(tmp_path, port=server.port) as again, client(server) as link:
        assert again.url == server.url
        assert link.get("kept") == b"7"
    assert again.process.poll() == 0


def test_a_killed_server_starts_again(tmp_path):
    server = start(tmp_path)
    with client(server) as link:
        link.set("kept", 7)
        link.execute_command("WAITAOF", 1, 0, 5000)
    server.kill()
    with start(tmp_path) as again, client(again) as link:
        assert link.get("kept") == b"7"


def test_it_never_evicts_and_asks_for_the_password(tmp_path):
    with start(tmp_path) as server, client(server) as link:
        wanted = {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "bind": "127.0.0.1"}
        assert link.config_get(*wanted) == wanted
        with (
            pytest.raises(redis.AuthenticationError),
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
        ):
            stranger.ping()
    secret = [tmp_path / "valkey/password", tmp_path / "valkey/valkey.conf", tmp_path / "valkey.log"]
    assert [path.stat().st_mode & 0o777 for path in secret] == [0o600] * 3


def test_a_damaged_append_only_file_is_set_aside_and_the_server_starts_empty(tmp_path):
    with start(tmp_path) as server, client(server) as link:
        for number in range(100):
            link.set(f"key-{number}", "value" * 10)
    written = next((tmp_path / "valkey/appendonlydir").glob("*.incr.aof"))
    content = bytearray(written.read_bytes())
    content[500:600] = bytes(100)
    written.write_bytes(content)
    with start(tmp_path) as server, client(server) as link:
        assert link.dbsize() == 0
    kept = next((tmp_path / "valkey").glob("appendonlydir.damaged-*"))
    assert (kept / written.name).read_bytes() == content


def test_a_damaged_manifest_is_set_aside_too(tmp_path):
    (tmp_path / "valkey/appendonlydir").mkdir(parents=True)
    (tmp_path / "valkey/appendonlydir/appendonly.aof.manifest").write_text("nonsense\n")
    with start(tmp_path) as server, client(server) as link:
        assert link.dbsize() == 0


def test_a_second_start_names_who_holds_the_folder(tmp_path):
    with start(tmp_path), pytest.raises(Locked, match=f"process {os.getpid()}"):
        start(tmp_path)


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} .* wanted by Valkey, is in use"):
            start(tmp_path, port=port)


def test_a_server_that_cannot_start_says_why(tmp_path):
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey/appendonlydir").touch()
    with pytest.raises(StartFailed, match=r"(?s)did not start.*Not a directory"):
        start(tmp_path)
