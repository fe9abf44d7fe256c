"""Feast as we use it: a registry in PostgreSQL, Parquet days, values in Valkey."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from adapters.bundle import FILES, Bundle, BundleInfo
from adapters.embedded.valkey import EmbeddedValkey, start_valkey
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore, FeatureStoreUnavailable, command_environment
from adapters.postgres.roles import DatabaseUrls
from adapters.redis.client import connect
from adapters.redis.packed_rows import Kind, Layout
from adapters.sealed_registry import RegistryRefused
from adapters.settings import Settings, child_environment
from feature_repo.engagement import catalog
from tests.feature_tables import MOMENT, feature_table, write_day
from tests.pausing import paused

NOON = datetime(2018, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
MIDNIGHT = datetime(2018, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def endpoints(databases: DatabaseUrls, valkey: EmbeddedValkey) -> Endpoints:
    return Endpoints(databases=databases, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")


@pytest.fixture(scope="module")
def lake_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def store(lake_settings: Settings, endpoints: Endpoints) -> Iterator[FeatureStore]:
    store = FeatureStore.of(lake_settings, endpoints)
    store.apply()
    yield store
    store.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A tenant nobody else writes."""
    return f"t{abs(hash(request.node.nodeid)):x}"


def rows_of(answer: dict[str, list[object]], table: pd.DataFrame) -> tuple[list[object], list[object]]:
    """Return what was read and what was written, None for missing, cell by cell."""
    written = table[list(answer)].astype(object)
    written = written.where(table[list(answer)].notna(), None)
    expected = [
        value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
        for column in answer
        for value in written[column]
    ]
    return [value for column in answer for value in answer[column]], expected


def test_what_is_written_is_read_back_in_declared_order(store: FeatureStore, name: str) -> None:
    table = feature_table(name, ["r2", "r1"], NOON)
    store.write(table)
    answer = store.online(name, ["r2", "r1"])
    assert tuple(answer) == store.columns == tuple(feature.name for feature in catalog.stored())
    read, written = rows_of(answer, table)
    assert read == written


def test_feast_itself_reads_the_same_values(store: FeatureStore, name: str) -> None:
    store.write(feature_table(name, ["r1", "r2"], NOON))
    rows = [{"tenant": name, "recipient_id": recipient} for recipient in ("r1", "r2", "nobody")]
    theirs = store._feast.get_online_features(
        features=store._feast.get_feature_service(store.service), entity_rows=rows
    ).to_dict()
    ours = store.online(name, ["r1", "r2", "nobody"])
    assert {column: theirs[column] for column in ours} == ours


def test_values_that_feast_materializes_are_read_back_too(
    store: FeatureStore, lake_settings: Settings, name: str
) -> None:
    table = feature_table(name, ["r1", "r2", "r3"], MIDNIGHT)
    write_day(lake_settings.lake_dir, table, "2018-01-01")
    store.materialize(MIDNIGHT - DAY, MIDNIGHT)
    read, written = rows_of(store.online(name, ["r1", "r2", "r3"]), table)
    assert read == written


def test_an_unknown_recipient_has_nothing_and_another_tenants_value_is_never_read(
    store: FeatureStore, name: str
) -> None:
    store.write(feature_table(name, ["r1"], NOON))
    answers = [store.online(f"{name}x", ["r1"]), store.online(name, ["r"]), store.online(name, ["1", "r1r1"])]
    assert {value for answer in answers for values in answer.values() for value in values} == {None}


def test_an_older_row_changes_nothing_and_the_same_moment_is_recomputed(store: FeatureStore, name: str) -> None:
    newer, older = feature_table(name, ["r1"], NOON, seed=1), feature_table(name, ["r1"], NOON - DAY, seed=2)
    store.write(newer)
    store.write(older)
    assert rows_of(store.online(name, ["r1"]), newer)[0] == rows_of(store.online(name, ["r1"]), newer)[1]
    again = feature_table(name, ["r1"], NOON, seed=3)
    store.write(again)
    read, written = rows_of(store.online(name, ["r1"]), again)
    assert read == written


def test_a_missing_value_replaces_a_known_one(store: FeatureStore, name: str) -> None:
    store.write(feature_table(name, ["r1"], NOON).assign(open_rate_30d=0.5, last_sent_at=NOON))
    later = feature_table(name, ["r1"], NOON + DAY).assign(open_rate_30d=None, last_sent_at=pd.NaT)
    store.write(later)
    answer = store.online(name, ["r1"])
    assert (answer["open_rate_30d"], answer["last_sent_at"]) == ([None], [None])


def test_a_table_that_lacks_a_registered_column_is_refused_by_name(store: FeatureStore, name: str) -> None:
    with pytest.raises(ValueError, match="open_rate_30d"):
        store.write(feature_table(name, ["r1"], NOON).drop(columns="open_rate_30d"))


def test_a_reader_with_other_columns_finds_those_it_knows_by_name(store: FeatureStore, name: str) -> None:
    table = feature_table(name, ["r1"], NOON).assign(sent_count_7d=7, login_count_1d=1)
    store.write(table)
    reader = FeatureStore(store._config, lake=None)
    delivery, *_ = (layout for layout in reader._layouts if "sent_count_7d" in layout.names)
    newer = Layout((("brand_new", Kind.FLOAT), ("sent_count_7d", Kind.INT)))
    reader.__dict__["_layouts"] = tuple(newer if layout is delivery else layout for layout in reader._layouts)
    reader.__dict__.pop("columns", None)
    answer = reader.online(name, ["r1"])
    assert (answer["sent_count_7d"], answer["brand_new"], answer["login_count_1d"]) == ([7], [None], [1])
    reader.close()


@pytest.mark.parametrize("row", [b"", b"12345678", b"nonsense" * 90])
def test_a_row_that_cannot_be_read_is_missing_and_hides_nobody_elses(
    store: FeatureStore, valkey: EmbeddedValkey, name: str, row: bytes
) -> None:
    store.write(feature_table(name, ["r1", "r2"], NOON).assign(sent_count_7d=7))
    with connect(valkey.url, timeout_ms=1000) as redis:
        redis.hset(store._key(name, "r1"), "row:recipient_delivery", row)
    assert store.online(name, ["r1", "r2"])["sent_count_7d"] == [None, 7]


def test_history_is_joined_as_of_each_row_in_the_rows_own_order(
    store: FeatureStore, lake_settings: Settings, name: str
) -> None:
    days = {MIDNIGHT + n * DAY: feature_table(name, ["r1", "r2"], MIDNIGHT + n * DAY, seed=n) for n in range(3)}
    for as_of, table in days.items():
        write_day(lake_settings.lake_dir, table, f"{as_of - DAY:%Y-%m-%d}")
    asked = pd.DataFrame(
        {
            "tenant": name,
            "recipient_id": ["r2", "r1", "r1", "nobody", "r2"],
            "decided_at": pd.Series(
                [MIDNIGHT + 2 * DAY, MIDNIGHT + DAY - timedelta(microseconds=1), MIDNIGHT, MIDNIGHT, MIDNIGHT - DAY],
                dtype=MOMENT,
            ),
            "label": [1, 0, 1, 0, 1],
        }
    ).set_axis([7, 3, 5, 1, 9])
    joined = store.historical(asked)
    assert list(joined.columns) == [*asked.columns, *store.columns]
    pd.testing.assert_frame_equal(joined[asked.columns], asked)
    wanted = [days[MIDNIGHT + 2 * DAY].iloc[1], days[MIDNIGHT].iloc[0], days[MIDNIGHT].iloc[0]]
    columns = ["engagement_as_of", "sent_count_7d", "open_rate_30d", "category_top_90d"]
    expected = pd.DataFrame([row[columns] for row in wanted], index=[7, 3, 5])
    pd.testing.assert_frame_equal(joined.loc[[7, 3, 5], columns], expected, check_dtype=False)
    assert joined.loc[[1, 9], list(store.columns)].isna().all(axis=None)


def test_a_correction_made_after_the_decision_is_not_what_was_known(
    store: FeatureStore, lake_settings: Settings, name: str
) -> None:
    original = feature_table(name, ["r1"], MIDNIGHT, seed=1).assign(sent_count_7d=1)
    corrected = feature_table(name, ["r1"], MIDNIGHT + DAY, seed=2).assign(sent_count_7d=2)
    write_day(lake_settings.lake_dir, original, "2018-01-01")
    write_day(lake_settings.lake_dir, corrected, "2018-01-02", created_at=MIDNIGHT + 3 * DAY)
    moments = pd.Series([MIDNIGHT + 2 * DAY, MIDNIGHT + 3 * DAY], dtype=MOMENT)
    asked = pd.DataFrame({"tenant": name, "recipient_id": "r1", "decided_at": moments})
    assert store.historical(asked)["sent_count_7d"].tolist() == [1, 2]


def test_materializing_an_older_day_leaves_what_the_stream_wrote(
    store: FeatureStore, lake_settings: Settings, name: str
) -> None:
    live = feature_table(name, ["r1"], NOON, seed=1)
    store.write(live)
    write_day(lake_settings.lake_dir, feature_table(name, ["r1", "r2"], MIDNIGHT, seed=2), "2018-01-01")
    store.materialize(MIDNIGHT - DAY, MIDNIGHT)
    answer = store.online(name, ["r1", "r2"])
    assert answer["engagement_as_of"] == [NOON.replace(microsecond=0), MIDNIGHT]


def test_applying_again_keeps_what_is_known_about_materialization(
    store: FeatureStore, lake_settings: Settings, name: str
) -> None:
    write_day(lake_settings.lake_dir, feature_table(name, ["r1"], MIDNIGHT), "2018-01-01")
    store.materialize(MIDNIGHT - DAY, MIDNIGHT)
    view = store._feast.get_feature_view("recipient_delivery")
    store.apply()
    store._feast.refresh_registry()
    assert store._feast.get_feature_view("recipient_delivery").materialization_intervals == (
        view.materialization_intervals
    )
    assert len(view.materialization_intervals) >= 1


def test_nothing_is_printed(
    store: FeatureStore, lake_settings: Settings, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    write_day(lake_settings.lake_dir, feature_table(name, ["r1"], MIDNIGHT), "2018-01-01")
    store.apply()
    store.materialize(MIDNIGHT - DAY, MIDNIGHT)
    assert capfd.readouterr() == ("", "")


def bundle_of(store: FeatureStore) -> Bundle:
    info = BundleInfo(
        model="engagement",
        version="1",
        run_id="run",
        feature_service=store.service,
        data_digest="d",
        created_at=NOON,
    )
    return Bundle(info, {**dict.fromkeys(FILES, b""), "registry.pb": store.registry_bytes()}, "digest")


def test_the_bundle_store_reads_without_the_registry_and_carries_no_password(
    store: FeatureStore, endpoints: Endpoints, valkey: EmbeddedValkey, name: str
) -> None:
    store.write(feature_table(name, ["r1"], NOON))
    bundle = bundle_of(store)
    assert valkey.url.split("@")[0].split(":")[-1].encode() not in bundle.files["registry.pb"]
    assert endpoints.databases.platform_role.password.encode() not in bundle.files["registry.pb"]
    served = FeatureStore.from_bundle(bundle, redis_url=valkey.url, timeout_ms=1000)
    assert served.columns == store.columns
    found, known = served.online(name, ["r1", "r2"]), store.online(name, ["r1", "r2"])
    assert {column: found[column] for column in known} == known
    # Decisions read habits in the same round trip.
    assert {column.startswith("habit") for column in found.keys() - known.keys()} == {True}
    served.close()


def test_the_same_definitions_are_the_same_bytes_whatever_was_materialized(
    store: FeatureStore, lake_settings: Settings, name: str
) -> None:
    before = store.registry_bytes()
    write_day(lake_settings.lake_dir, feature_table(name, ["r1"], MIDNIGHT), "2018-01-01")
    store.materialize(MIDNIGHT - DAY, MIDNIGHT)
    store.apply()
    assert store.registry_bytes() == before


def test_a_registry_with_code_in_it_is_refused_before_feast_sees_it(store: FeatureStore) -> None:
    from feast.protos.feast.core.OnDemandFeatureView_pb2 import OnDemandFeatureView
    from feast.protos.feast.core.Registry_pb2 import Registry

    bundle = bundle_of(store)
    registry = Registry.FromString(bundle.files["registry.pb"])
    registry.on_demand_feature_views.append(OnDemandFeatureView())
    for content in (registry.SerializeToString(), b"\xff\xff\xff"):
        infected = replace(bundle, files={**bundle.files, "registry.pb": content})
        with pytest.raises(RegistryRefused):
            FeatureStore.from_bundle(infected, redis_url="redis://127.0.0.1:1", timeout_ms=50).warm_up()


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    with start_valkey(tmp_path / "valkey", log=tmp_path / "valkey.log") as server:
        yield server


def test_a_reading_takes_what_is_left_and_leaves_the_connection_its_own_limit(
    store: FeatureStore, own_valkey: EmbeddedValkey, name: str
) -> None:
    served = FeatureStore.from_bundle(bundle_of(store), redis_url=own_valkey.url, timeout_ms=20_000)
    served.online(name, ["r1"])
    start = time.monotonic()
    with paused(own_valkey.pid), pytest.raises(FeatureStoreUnavailable):
        served.online(name, ["r1"], seconds=0.02)
    assert time.monotonic() - start < 10
    assert served.online(name, ["r1"], seconds=5.0)["sent_count_7d"] == [None]
    pool = served._online_store.client(served._feast.config).connection_pool
    assert pool.get_connection()._sock.gettimeout() == 20.0


def test_a_stopped_or_dead_server_is_a_typed_failure_at_once_and_recovery_needs_no_restart(
    store: FeatureStore, own_valkey: EmbeddedValkey, name: str
) -> None:
    served = FeatureStore.from_bundle(bundle_of(store), redis_url=own_valkey.url, timeout_ms=50)
    served.online(name, ["r1"])
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            start = time.monotonic()
            with pytest.raises(FeatureStoreUnavailable, match="does not answer"):
                served.online(name, ["r1"])
            # The limit is 2 x 50 ms; a busy machine gets grace, hidden retries (seconds) do not.
            assert time.monotonic() - start < 1
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    assert served.online(name, ["r1"])["sent_count_7d"] == [None]
    own_valkey.kill()
    with pytest.raises(FeatureStoreUnavailable):
        served.online(name, ["r1"])


def test_an_unanswering_registry_is_a_typed_failure(endpoints: Endpoints, tmp_path: Path) -> None:
    away = replace(endpoints.databases, server=endpoints.databases.server.set(port=1))
    store = FeatureStore.of(Settings(data_dir=tmp_path), replace(endpoints, databases=away))
    with pytest.raises(FeatureStoreUnavailable, match="registry"):
        store.apply()


def test_feast_leaves_the_environment_and_our_metrics_as_they_were() -> None:
    script = (
        "import os; from adapters import feast_library; before = dict(os.environ); feast_library.load();"
        "from prometheus_client import values, Counter; assert dict(os.environ) == before, 'changed';"
        "assert values.ValueClass.__name__ == 'MutexValue', values.ValueClass"
    )
    environment = child_environment({})
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_feast_command_registers_the_same_objects(
    store: FeatureStore, lake_settings: Settings, endpoints: Endpoints
) -> None:
    repository = Path(__file__).parents[2] / "feature_repo"
    command = [str(Path(sys.executable).with_name("feast")), "-c", str(repository)]
    environment = child_environment(command_environment(lake_settings, endpoints))
    done = subprocess.run([*command, "apply"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "recipient_engagement" in done.stdout
    fresh = FeatureStore.of(lake_settings, endpoints)
    assert fresh.columns == store.columns
    fresh.close()
