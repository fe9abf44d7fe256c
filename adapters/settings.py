"""The environment, read once: every ``KAIROS_*`` variable by name, with its default and unit.

Missing, malformed and misspelt variables are reported together and stop the start; values are never echoed.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Address, ip_network
from pathlib import Path

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)

from domain.values import Frozen

PREFIX = "KAIROS_"
PASSED_THROUGH = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables a child process needs besides ours; everything else stays out of it."""

TELEMETRY_OFF = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Switches that keep every package from calling home, as each reads them."""


_PROXIES = "must be true, or addresses and networks separated by commas, not every address there is"


class BadSettings(ValueError):
    """The environment cannot be used; the message names every variable at fault."""


class Settings(Frozen):
    """All settings; each field is the variable ``KAIROS_<FIELD>`` and is described in docs/configuration.md."""

    data_dir: Path = Field(Path(".kairos"), description="Folder of everything Kairos keeps on this machine.")
    postgres_url: SecretStr | None = Field(
        None, description="PostgreSQL URL of the application role; unset starts the embedded server."
    )
    postgres_admin_url: SecretStr | None = Field(
        None, description="URL of a role that may create databases and roles; used by set-up only."
    )
    redis_url: SecretStr | None = Field(
        None, description="URL of a Redis or Valkey server; unset starts the embedded one."
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Master secret, at least 32 characters; unset keeps a generated one below the data folder.",
        min_length=32,
    )
    key_encryption_keys: SecretStr | None = Field(
        None,
        description="Keys that wrap the data keys of subjects, as id:64 hexadecimal digits, the newest first, "
        "separated by commas; unset keeps generated ones below the data folder.",
    )
    key_rotation_days: PositiveInt = Field(
        90,
        description="Days after which the sealer replaces the key-encryption key, and the data keys of profiles.",
    )
    audit_checkpoint_dir: Path | None = Field(
        None,
        description="Folder of the signed checkpoints of the audit trail, best where the database's writers cannot "
        "reach it; unset keeps them below the data folder.",
    )
    erasure_ledger_dir: Path | None = Field(
        None,
        description="Folder of the pseudonyms of erased people, best where no backup of the data folder is restored "
        "over it; unset keeps it below the data folder.",
    )
    api_key: SecretStr | None = Field(None, description="The key the command line authenticates with.")
    token_issuers_file: Path | None = Field(
        None,
        description="JSON file of the issuers whose signed tokens are taken, with their public keys; unset takes "
        "API keys only.",
    )
    api_host: IPv4Address = Field(
        IPv4Address("127.0.0.1"),
        description="IPv4 address the API listens on; one beyond loopback needs TLS or a declared proxy.",
    )
    api_port: PositiveInt = Field(3000, le=65535, description="Port of the API.")
    tls_certificate: Path | None = Field(
        None, description="PEM file of the API's certificate, with those between it and its root; unset is plain HTTP."
    )
    tls_key: Path | None = Field(None, description="PEM file of the certificate's private key, without a password.")
    trusted_proxy: str | None = Field(
        None,
        description="true when a proxy in front of the API ends TLS, or the addresses and networks of such proxies, "
        "separated by commas: what those say of who asked is believed, as from a proxy on this machine.",
    )
    dagster_port: PositiveInt = Field(3001, le=65535, description="Port of the Dagster pages on loopback.")
    mlflow_port: PositiveInt = Field(5000, le=65535, description="Port of the MLflow server on loopback.")
    mlflow_url: str | None = Field(None, description="URL of an MLflow server; unset uses the one beside us.")
    event_retention_days: PositiveInt = Field(
        1095, description="Days events are kept; older ones are refused at ingest."
    )
    decision_retention_days: PositiveInt = Field(1095, description="Days decisions and answered contests are kept.")
    dead_letter_retention_days: PositiveInt = Field(90, description="Days what was received and is no event is kept.")
    job_retention_days: PositiveInt = Field(90, description="Days a job that has ended is kept with its verdicts.")
    first_partition_date: str = Field(
        "2016-01-01",
        pattern=r"^\d{4}-\d\d-\d\d$",
        description="First day of the daily partitions, UTC, as YYYY-MM-DD.",
    )
    last_partition_date: str | None = Field(
        None,
        pattern=r"^\d{4}-\d\d-\d\d$",
        description="Last day of the daily partitions, UTC; unset continues until yesterday.",
    )
    device: str = Field("cpu", pattern=r"^(cpu|cuda)$", description="What models are trained on; cuda needs a GPU.")
    model_poll_seconds: PositiveFloat = Field(
        5.0, description="Seconds between two looks at the champion alias by the service."
    )
    shadow_decisions: NonNegativeInt = Field(
        0,
        description="Live messages a challenger is compared on as shadow before it may decide; 0 asks for none.",
    )
    exploration_epsilon: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Share of the probability that is spread evenly over all allowed actions.",
    )
    policy_temperature: PositiveFloat = Field(
        0.005, description="Softmax temperature in units of value; smaller follows the scores more closely."
    )
    send_cost: NonNegativeFloat = Field(
        0.02, description="Value a send must promise to match sending nothing, in expected conversions."
    )
    visit_weight: NonNegativeFloat = Field(
        0.05, description="Worth of an answer that brings somebody who would not have come, in conversions; 0 is none."
    )
    holdout_share: float = Field(
        0.05, ge=0, lt=1, description="Share of recipients, by hash, that always get the uniform policy."
    )
    quiet_hours_start: PositiveInt = Field(21, le=23, description="Local hour at which quiet hours begin.")
    quiet_hours_end: PositiveInt = Field(8, le=23, description="Local hour at which quiet hours end.")
    public_url: str = Field(
        "http://127.0.0.1:3000",
        pattern=r"^https?://[^\s/]+(/[^\s]*)?$",
        description="Where recipients reach this service, for unsubscribe links; mailbox providers demand https.",
    )
    sms_opt_out_scope: str = Field(
        "all", pattern="^(all|sms)$", description="What a texted keyword revokes: every channel, or text messages only."
    )
    legal_rules: str = Field(
        "2026-11",
        description="Version of the legal rules in force, or the path of a YAML file with a set of one's own.",
    )
    redis_timeout_ms: PositiveInt = Field(50, description="Milliseconds a decision waits for Redis.")
    rate_limit_key_per_minute: NonNegativeInt = Field(
        30_000, description="Requests of one key that are answered in a minute; 0 sets no limit. Opt-outs never count."
    )
    rate_limit_route_per_minute: NonNegativeInt = Field(
        30_000, description="Requests of one key at one route that are answered in a minute; 0 sets no limit."
    )
    rate_limit_tenant_per_minute: NonNegativeInt = Field(
        60_000, description="Requests of one tenant that are answered in a minute; 0 sets no limit."
    )
    cors_origins: str | None = Field(
        None,
        pattern=r"^https?://[^\s,/*]+(\s*,\s*https?://[^\s,/*]+)*$",
        description="Origins whose pages may read the API's answers in a browser, separated by commas; unset is none.",
    )
    postgres_timeout_ms: PositiveInt = Field(
        2000, description="Milliseconds one statement of the API may take in PostgreSQL."
    )
    decision_postgres_ms: PositiveInt = Field(
        2000,
        description="Milliseconds a decision waits for one answer of PostgreSQL before it answers without consent.",
    )
    pulse_ms: PositiveInt = Field(
        150,
        description="Milliseconds PostgreSQL or Valkey may take for a sign of life before decisions go on without it.",
    )
    decision_spool_mb: PositiveInt = Field(
        64, description="Megabytes of decisions that are kept in a local file while PostgreSQL is away."
    )
    change_retention_hours: PositiveInt = Field(
        72, description="Hours a change is kept for listeners that were away; later they are told to read all anew."
    )
    change_streams: PositiveInt = Field(
        500, description="Streams of changes one service worker keeps open; more are refused."
    )
    change_stream_seconds: PositiveInt = Field(
        300, description="Seconds a stream of changes lives; the listener then connects, and is checked, anew."
    )
    cms_cache_seconds: NonNegativeFloat = Field(
        60.0, description="Seconds for which an answer of a content system may be given again."
    )
    content_wait_ms: PositiveInt = Field(
        50, description="Milliseconds a decision waits at most for words of a content system it has not asked before."
    )
    variant_writer_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s@#]+$",
        description="Where briefs for new variants are posted to a writer, such as a language model; unset has none.",
    )
    variant_writer_key: SecretStr | None = Field(None, description="Bearer token for the writer.", min_length=1)
    egress_allow_loopback: bool = Field(
        default=False,
        description="For development only: webhooks may go to this machine, without encryption too.",
    )
    service_threads: PositiveInt = Field(16, description="Requests one service worker handles at a time.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least severity that is logged.")

    @field_validator("trusted_proxy")
    @classmethod
    def _names_proxies(cls, declared: str | None) -> str | None:
        if declared is None or declared == "true":
            return declared
        try:
            networks = [ip_network(each.strip()) for each in declared.split(",")]
        except ValueError:
            raise ValueError(_PROXIES) from None
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError(_PROXIES)
        return declared

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Build the settings from an environment.

        Raises:
            BadSettings: a ``KAIROS_*`` variable is malformed or has no meaning; all are named.
        """
        ours = {name[len(PREFIX) :].lower(): text for name, text in environ.items() if name.startswith(PREFIX)}
        # An empty variable is how a shell or a compose file says "unset".
        given = {name: text for name, text in ours.items() if text}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            lines = [f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
            raise BadSettings("; ".join(sorted(lines))) from None

    @property
    def event_retention(self) -> timedelta:
        """How long events are kept."""
        return timedelta(days=self.event_retention_days)

    @property
    def lake_dir(self) -> Path:
        """Folder of the Parquet tables."""
        return self.data_dir / "lake"

    @property
    def bundle_dir(self) -> Path:
        """Folder of the serving bundles."""
        return self.data_dir / "bundles"


def load_settings() -> Settings:
    """Read the environment of this process."""
    return Settings.from_env(os.environ)


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a process we start: ours, the few it needs, telemetry off, then ``extra``."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(PREFIX) or name in PASSED_THROUGH}
    return {**kept, **TELEMETRY_OFF, **extra}


@contextmanager
def environment_unchanged(**meanwhile: str) -> Iterator[None]:
    """Undo what a package does to the environment when it is imported; ``meanwhile`` is set inside the block."""
    before = dict(os.environ)
    os.environ.update(meanwhile)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


def silence_telemetry() -> None:
    """Switch telemetry off for packages imported later in this process; they read the environment."""
    os.environ.update(TELEMETRY_OFF)


def believe_proxies(addresses: Sequence[str]) -> None:
    """Have uvicorn, which reads it when a worker starts, believe the X-Forwarded headers of these and of no other."""
    os.environ["FORWARDED_ALLOW_IPS"] = ",".join(addresses)
