"""Which version is the champion, asked of MLflow over plain HTTP: one short question, no retries, no MLflow import.

The ``mlflow`` package would cost the service 170 MB and, with the server down, minutes of hidden retries.
"""

import httpx

SECONDS_TO_ANSWER = 2.0
_PATH = "/api/2.0/mlflow/registered-models/alias"
_NO_SUCH = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
"""How MLflow says that model or alias does not exist."""


class AliasUnavailable(ConnectionError):
    """MLflow does not say which version the alias names."""


class ModelAlias:
    """One alias of one registered model."""

    def __init__(self, url: str, *, model: str, alias: str, transport: httpx.BaseTransport | None = None) -> None:
        self.model = model
        self._params = {"name": model, "alias": alias}
        # Proxies named in the environment are for the internet; MLflow is a private part.
        self._client = httpx.Client(base_url=url, timeout=SECONDS_TO_ANSWER, trust_env=False, transport=transport)

    def version(self) -> str | None:
        """Return the version the alias names now, None when there is no such model or alias.

        Raises:
            AliasUnavailable: the server does not answer within about two seconds, or not as MLflow does.
        """
        try:
            answer = self._client.get(_PATH, params=self._params)
            body = answer.json()
            if answer.is_success:
                return str(body["model_version"]["version"])
            code = body["error_code"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise AliasUnavailable(f"MLflow does not answer: {type(error).__name__}") from None
        if code in _NO_SUCH:
            return None
        raise AliasUnavailable(f"MLflow answers {code}")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
