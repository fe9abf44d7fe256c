"""Every problem the API can answer with is declared once: status, severity, retryable or not, and a sentence."""

import ast
import importlib
from http import HTTPStatus
from pathlib import Path

import pytest

import serving.http.app  # noqa: F401 - declares every code
from domain.ingest import RejectionCode
from serving.http.errors import Refused
from serving.http.problem_codes import KINDS, ProblemCode, Severity, declared

ROOT = Path(__file__).parents[2]


def raised_codes():
    """Yield each code that stands in the source as the first argument of ``Refused``, with its place."""
    for path in sorted((ROOT / "serving/http").rglob("*.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refused" and node.args:
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                given = node.args[0]
                if isinstance(given, ast.Constant):
                    yield place, given.value
                elif isinstance(given, ast.Name) and isinstance(getattr(module, given.id, None), str):
                    yield place, getattr(module, given.id)


def test_every_code_that_is_raised_is_declared():
    found = dict(raised_codes())
    assert len(found) > 3
    undeclared = {place: code for place, code in found.items() if code not in KINDS}
    assert undeclared == {}, "declare it: CODE = declared('subject.what', status, 'A sentence.')"


def test_no_code_is_forgotten_in_the_two_lists():
    assert {*ProblemCode, *RejectionCode} <= KINDS.keys()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: str(kind.code))
def test_a_code_says_what_its_status_says(kind):
    assert 400 <= HTTPStatus(kind.status) < 600
    assert kind.meaning.endswith(".")
    assert (kind.severity is Severity.ERROR) == (kind.status >= 500)


def test_a_code_cannot_stand_for_two_things():
    with pytest.raises(ValueError, match=r"request\.invalid"):
        declared(ProblemCode.INVALID, 400, "Something else.")


def test_a_code_without_a_declaration_and_a_status_cannot_be_answered():
    with pytest.raises(ValueError, match=r"made\.up"):
        Refused("made.up", "Nobody declared this.")
