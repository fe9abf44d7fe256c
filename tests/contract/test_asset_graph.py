"""The asset graph, held to a golden file: a change of the lineage is seen in review, never by accident."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from adapters.settings import Settings
from orchestration.definitions import build_definitions

GOLDEN = Path(__file__).with_name("asset_graph.json")
ROOT = Path(__file__).parents[2]
BLOCKING = " (blocking)"
HEAVY = ("great_expectations", "mlflow", "feast", "xgboost", "sklearn", "duckdb", "ibis", "matplotlib")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    return build_definitions(Settings(data_dir=tmp_path_factory.mktemp("graph")))


def graph(definitions) -> dict:
    layer = definitions.resolve_asset_graph()
    return {
        "assets": {
            key.to_user_string(): {
                "after": sorted(parent.to_user_string() for parent in layer.get(key).parent_keys),
                "group": layer.get(key).group_name,
                "owners": sorted(layer.get(key).owners),
                "kinds": sorted(layer.get(key).kinds),
                "is_partitioned": layer.get(key).is_partitioned,
                "has_freshness_policy": layer.get(key).freshness_policy is not None,
            }
            for key in sorted(layer.get_all_asset_keys())
        },
        "checks": sorted(
            f"{check.asset_key.path[-1]}: {check.name}{BLOCKING if layer.get_check_spec(check).blocking else ''}"
            for check in layer.asset_check_keys
        ),
        "jobs": sorted(job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")),
        "schedules": sorted(schedule.name for schedule in definitions.schedules or ()),
    }


def test_the_graph_is_the_one_that_was_agreed(definitions):
    found = graph(definitions)
    assert found == json.loads(GOLDEN.read_text()), (
        f"the lineage changed; if that was meant, write {GOLDEN.name} anew: "
        "uv run python -m tests.contract.test_asset_graph"
    )


def test_every_asset_is_described(definitions):
    layer = definitions.resolve_asset_graph()
    assert [key.to_user_string() for key in layer.get_all_asset_keys() if not layer.get(key).description] == []


def test_every_claim_about_events_stops_what_comes_after(definitions):
    claims = [line for line in graph(definitions)["checks"] if line.startswith("raw_engagement_events")]
    assert len(claims) >= 5
    assert all(line.endswith(BLOCKING) for line in claims)


def test_every_column_of_a_table_is_described(definitions):
    for spec in definitions.resolve_all_asset_specs():
        schema = spec.metadata.get("dagster/column_schema")
        silent = [column.name for column in (schema.columns if schema else ()) if not column.description]
        assert silent == [], spec.key


def test_any_number_of_days_is_one_run_and_the_days_are_those_of_the_settings(tmp_path):
    settings = Settings(data_dir=tmp_path, first_partition_date="2017-01-01", last_partition_date="2017-12-31")
    layer = build_definitions(settings).resolve_asset_graph()
    divided = [layer.get(key) for key in layer.get_all_asset_keys() if layer.get(key).is_partitioned]
    assert len(divided) == 4
    for node in divided:
        keys = node.partitions_def.get_partition_keys()
        assert (keys[0], keys[-1], len(keys)) == ("2017-01-01", "2017-12-31", 365)
        assert node.backfill_policy == dg.BackfillPolicy.single_run()


def test_the_code_location_loads_in_a_fresh_interpreter_without_the_heavy_packages():
    code = f"import sys, orchestration.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(graph(build_definitions(Settings())), indent=2) + "\n")
