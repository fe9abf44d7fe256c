"""The asset graph, held to a golden file: a change of the lineage is seen in review, never by accident."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.settings import Settings
from orchestration.definitions import build_definitions

GOLDEN = Path(__file__).with_name("asset_graph.json")
ROOT = Path(__file__).parents[2]
BLOCKING = " (blocking)"
HEAVY = ("great_expectations", "mlflow", "feast")


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


def test_the_code_location_loads_in_a_fresh_interpreter_without_the_heavy_packages():
    code = f"import sys, orchestration.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(graph(build_definitions(Settings())), indent=2) + "\n")
