"""What MLflow knows of model versions, asked over plain HTTP: no MLflow import, one question each, no retries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.mlflow_rest import SECONDS_TO_ANSWER, AliasUnavailable

_MODELS = "/api/2.0/mlflow/registered-models/search"
_VERSION = "/api/2.0/mlflow/model-versions/get"
_MOST_MODELS = 100


@dataclass(frozen=True)
class KnownVersion:
    """A registered version as MLflow tells it."""

    model: str
    version: str
    run_id: str
    created_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class KnownModel:
    """A registered model and which version each alias names."""

    name: str
    aliases: Mapping[str, str]


class ModelVersions:
    """Reads the registry."""

    def __init__(self, url: str, *, transport: httpx.BaseTransport | None = None) -> None:
        # Proxies named in the environment are for the internet; MLflow is a private part.
        self._client = httpx.Client(base_url=url, timeout=SECONDS_TO_ANSWER, trust_env=False, transport=transport)

    def models(self) -> list[KnownModel]:
        """Return every registered model, by name.

        Raises:
            AliasUnavailable: MLflow does not answer within about two seconds, or not as MLflow does.
        """
        body = self._get(_MODELS, {"max_results": _MOST_MODELS}) or {}
        found = [
            KnownModel(each["name"], {alias["alias"]: str(alias["version"]) for alias in each.get("aliases", ())})
            for each in body.get("registered_models", ())
        ]
        return sorted(found, key=lambda model: model.name)

    def version(self, model: str, version: str) -> KnownVersion | None:
        """Return a version, or None when there is none.

        Raises:
            AliasUnavailable: MLflow does not answer.
        """
        body = self._get(_VERSION, {"name": model, "version": version})
        if body is None:
            return None
        told = body["model_version"]
        return KnownVersion(
            model=told["name"],
            version=str(told["version"]),
            run_id=told.get("run_id", ""),
            created_ms=int(told.get("creation_timestamp", 0)),
            tags={tag["key"]: tag.get("value", "") for tag in told.get("tags", ())},
            aliases=tuple(sorted(told.get("aliases", ()))),
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _get(self, path: str, params: Mapping[str, str | int]) -> dict[str, Any] | None:
        try:
            answer = self._client.get(path, params=dict(params))
            body = answer.json()
            if answer.is_success:
                return dict(body)
            code = body["error_code"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise AliasUnavailable(f"MLflow does not answer: {type(error).__name__}") from None
        if code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise AliasUnavailable(f"MLflow answers {code}")
