"""Takes the README's pictures from a demo that was left running (`KEEP=1 make demo`), in a real browser.

Run it from the checkout: ``uv run python -m docs.screenshots``. It needs a Chromium on this machine.
"""

import sys
from pathlib import Path

import httpx
from playwright.sync_api import sync_playwright

from adapters.endpoints import resolve
from adapters.settings import load_settings
from cli.demo import demo_folder
from tests.browser import QUIET, executable

FOLDER = Path(__file__).parent / "images"
PAUSE_MS = 15_000
"""Single-page applications draw after they have loaded, slowly on a small machine."""
SETTLE_MS = 4_000
HEIGHTS = {"dagster_asset": 1300, "dagster_check": 1000, "mlflow_run": 1300}
CLICKS = {"dagster_check": "event_types_are_known", "dagster_asset": "[Show Markdown]"}


def pages(dagster: str, mlflow: str, api: str) -> dict[str, str]:
    """Return the address of each picture's page."""
    experiment, run = _newest_run(mlflow)
    return {
        "dagster_lineage": f"{dagster}/asset-groups",
        "dagster_asset": f"{dagster}/assets/out_segment_membership?view=events",
        "dagster_check": f"{dagster}/assets/raw_engagement_events?view=checks",
        "mlflow_run": f"{mlflow}/#/experiments/{experiment}/runs/{run}",
        "api_docs": f"{api}/docs",
    }


def main() -> int:
    """Write every picture; 1 when there is no browser."""
    path = executable()
    if path is None:
        print("no Chromium on this machine", file=sys.stderr)
        return 1
    settings = load_settings()
    where = resolve(settings.model_copy(update={"data_dir": demo_folder(settings)}))
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        for name, address in pages(where.dagster_url, where.mlflow_url, where.api_url).items():
            page = browser.new_page(viewport={"width": 1440, "height": HEIGHTS.get(name, 900)})
            page.goto(address, wait_until="load")
            page.wait_for_timeout(PAUSE_MS)
            for name_of_button in ("Close", "Skip"):
                for button in page.get_by_role("button", name=name_of_button).all():
                    button.click()
            if name in CLICKS:
                page.get_by_text(CLICKS[name], exact=True).first.click()
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=FOLDER / f"{name}.png")
            print(f"{name}: {address}")
        browser.close()
    return 0


def _newest_run(mlflow: str) -> tuple[str, str]:
    version = httpx.get(
        f"{mlflow}/api/2.0/mlflow/registered-models/alias",
        params={"name": "engagement", "alias": "champion"},
        timeout=10,
    ).json()["model_version"]
    run = httpx.get(f"{mlflow}/api/2.0/mlflow/runs/get", params={"run_id": version["run_id"]}, timeout=10).json()
    return run["run"]["info"]["experiment_id"], version["run_id"]


if __name__ == "__main__":
    sys.exit(main())
