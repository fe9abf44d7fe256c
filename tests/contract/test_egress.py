"""There is one way out: no other module could connect to a place that somebody outside named."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "adapters", "models", "feature_repo", "assets", "orchestration", "serving", "cli")
WAYS_OUT = {
    "aiohttp",
    "ftplib",
    "http.client",
    "httpx",
    "poplib",
    "pycurl",
    "requests",
    "smtplib",
    "socket",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc",
}
TO_SERVERS_OF_OURS = {
    "adapters/embedded/ports.py": "asks whether a port of loopback is free",
    "adapters/embedded/valkey.py": "asks the Valkey it started whether it is up",
    "adapters/mlflow_rest.py": "the MLflow server of the settings",
    "adapters/mlflow_versions.py": "the MLflow server of the settings",
    "adapters/model_registry.py": "the MLflow server of the settings",
    "adapters/simulation/service.py": "the API that whoever starts a simulation names",
    "cli/demo_show.py": "the API it started",
    "cli/demo_story.py": "the API it started",
    "cli/readiness.py": "the services it started",
}
"""Where they connect to is a setting or a process of this machine, never what a tenant sent."""


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def users() -> set[str]:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {str(path.relative_to(ROOT)) for path in paths if imported(path) & WAYS_OUT}


def test_one_module_connects_to_places_that_were_given():
    assert users() - TO_SERVERS_OF_OURS.keys() == {"adapters/egress.py"}


def test_the_exceptions_are_no_longer_than_they_must_be():
    assert TO_SERVERS_OF_OURS.keys() - users() == set()
