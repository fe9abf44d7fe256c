"""``kairos docs``: writes the documents that are made from the code, so that they cannot say anything else.

A test renders each again and compares; a change of the code without its document fails there.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args

import typer
from pydantic_core import PydanticUndefined

from adapters.settings import PREFIX, Settings
from cli.licences import licences

UNIT_BY_SUFFIX = {
    "_ms": "milliseconds",
    "_per_minute": "requests a minute",
    "_seconds": "seconds",
    "_days": "days",
    "_port": "port number",
    "_share": "fraction in [0, 1)",
    "_dir": "folder",
    "_url": "URL",
    "_date": "date",
    "_start": "local hour",
    "_end": "local hour",
}


def configuration() -> str:
    """Return docs/configuration.md: every setting with default, unit and meaning."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {_unit(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([*_CONFIGURATION_HEAD, *rows, ""])


def env_example() -> str:
    """Return .env.example: every setting, commented out at its default."""
    lines = ["# Every setting of Kairos at its default; see docs/configuration.md. Nothing needs to be set.", ""]
    for name, field in Settings.model_fields.items():
        value = "" if field.default is None else field.default
        lines += [f"# {field.description}", f"# {PREFIX}{name.upper()}={value}", ""]
    return "\n".join(lines)


def event_schema() -> str:
    """Return the published JSON Schema of an event."""
    from domain.events import EngagementEvent

    return json.dumps(EngagementEvent.model_json_schema(), indent=2, sort_keys=True) + "\n"


def consent_schema() -> str:
    """Return the published JSON Schema of exported consent records."""
    from domain.consent_export import ConsentExports

    return json.dumps(ConsentExports.model_json_schema(mode="serialization"), indent=2, sort_keys=True) + "\n"


def features() -> str:
    """Return docs/features.md: every feature with its view, kind, type, unit, purpose and meaning."""
    from feature_repo.engagement.catalog import catalog

    rows = [
        f"| `{f.name}` | {f.view.value if f.view else 'made at read'} | {f.kind.value} | {f.dtype.value} | {f.unit} | "
        f"{f.purpose.value} | {f.description} |"
        for f in catalog()
    ]
    return "\n".join([*_FEATURES_HEAD, *rows, ""])


def errors() -> str:
    """Return docs/errors.md: every code of a problem document."""
    import serving.http.app  # noqa: F401 - every module declares its codes when it is imported
    from serving.http.problem_codes import KINDS

    rows = [
        f"| `{kind.code}` | {kind.status} | {kind.severity.value} | {'yes' if kind.is_retryable else 'no'} "
        f"| {kind.meaning} |"
        for kind in sorted(KINDS.values(), key=lambda kind: str(kind.code))
    ]
    return "\n".join([*_ERRORS_HEAD, *rows, ""])


DOCUMENTS: Mapping[str, Callable[[], str]] = {
    "docs/configuration.md": configuration,
    "docs/features.md": features,
    "docs/errors.md": errors,
    ".env.example": env_example,
    "docs/contracts/engagement_event.schema.json": event_schema,
    "docs/contracts/consent_record.schema.json": consent_schema,
}


def docs(folder: Annotated[Path, typer.Argument(help="The checkout to write into.")] = Path()) -> None:
    """Write the documents that are made from the code."""
    for name, render in DOCUMENTS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render())
        typer.echo(f"wrote {name}")
    # The licences depend on the machine's Python, so they are written but not compared.
    (folder / "docs/licences.md").write_text(licences(folder / "uv.lock"))
    typer.echo("wrote docs/licences.md")


def _default(value: Any) -> str:
    return "unset" if value is None or value is PydanticUndefined else f"`{value}`"


def _unit(name: str) -> str:
    return next((unit for suffix, unit in UNIT_BY_SUFFIX.items() if name.endswith(suffix)), _kind(name))


def _kind(name: str) -> str:
    given = Settings.model_fields[name].annotation
    kinds = [kind for kind in get_args(given) if kind is not NoneType] or [given]
    return {"float": "number", "int": "number", "str": "text", "SecretStr": "secret"}.get(kinds[0].__name__, "text")


_CONFIGURATION_HEAD = (
    "# Configuration",
    "",
    "Every setting is an environment variable. Nothing has to be set: without any, Kairos starts a PostgreSQL and a",
    "Valkey of its own on loopback and generates its secrets. A misspelt or malformed variable stops the start with a",
    "message that names it. This page is made from `adapters/settings.py` by `make docs`.",
    "",
    "| variable | default | unit | meaning |",
    "|---|---|---|---|",
)

_FEATURES_HEAD = (
    "# Features",
    "",
    "Every feature of a recipient, made from `feature_repo/engagement/catalog.py` by `make docs`. Windows are",
    "half-open, `[as_of - w, as_of)`; rates are fractions and missing where there is nothing to divide by; ages are",
    "derived when the row is read, by one function offline and online.",
    "",
    "| feature | view | kind | type | unit | purpose | meaning |",
    "|---|---|---|---|---|---|---|",
)

_ERRORS_HEAD = (
    "# Errors",
    "",
    "Every refusal is a problem document (RFC 9457, `application/problem+json`). Branch on `code`; `type` is the same,",
    "as `urn:kairos:problem:<code>`, and neither ever changes. `severity` says who has to act: nobody (info), the",
    "caller (warning), whoever runs the service (error). Where `is_retryable` is true the same request may be done",
    "later, after `Retry-After` where it is given. `request_id` is the header `X-Request-ID` of the answer and stands",
    "in the log line of the request. `errors` names each field at fault and what was expected there, never the value.",
    "This page is made from the code by `make docs`.",
    "",
    "| code | status | severity | retryable | meaning |",
    "|---|---|---|---|---|",
)
