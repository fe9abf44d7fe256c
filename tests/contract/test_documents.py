"""Documents say what the code says: those made from it are compared, those written by hand are held to it."""

import re
import tomllib
from pathlib import Path

import pytest

from adapters.settings import Settings
from cli.docs import DOCUMENTS

ROOT = Path(__file__).parents[2]
ADR_PARTS = ("## Context", "## Decision", "## Consequences", "## Alternatives", "## Enforced by")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_made_from_the_code_is_current(name: str):
    assert (ROOT / name).read_text() == DOCUMENTS[name](), f"{name} is out of date; write it anew with: make docs"


def test_every_setting_is_described_with_a_sentence():
    assert [name for name, field in Settings.model_fields.items() if not (field.description or "").endswith(".")] == []


def test_every_setting_is_read_by_some_code():
    code = "\n".join(
        path.read_text()
        for package in ("adapters", "serving", "assets", "orchestration", "cli")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "settings.py" or package != "adapters"
    )
    indirect = {"lake_dir", "bundle_dir"}
    own = (ROOT / "adapters/settings.py").read_text().split("@classmethod")[-1]
    unread = [name for name in Settings.model_fields if not re.search(rf"\.{name}\b", code + own)]
    assert [name for name in unread if name not in indirect] == []


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("*.md")), ids=lambda path: path.stem)
def test_a_decision_record_has_its_five_parts_on_one_screen(path: Path):
    text = path.read_text()
    assert [part for part in ADR_PARTS if part not in text] == []
    assert len(text.splitlines()) <= 60


def test_decision_records_are_numbered_without_gap():
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/glossary.md"])
def test_every_link_to_a_file_leads_somewhere(name: str):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


def test_every_package_our_code_names_has_its_licence_on_the_page():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["completejourney"]]
    page = (ROOT / "docs/licences.md").read_text()
    names = [re.match(r"[\w-]+", requirement)[0] for requirement in wanted]
    assert [name for name in names if f"| {name} |" not in page] == []
