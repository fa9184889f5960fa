"""The settings: one frozen object, and the only code that reads the environment.

Each field's description is its documentation: `python -m webapp.settings_page` writes docs/settings.md from it.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .errors import ConfigurationError
from .pydantic_errors import plain_errors
from .queue_names import NEED_FORM, Ability, is_need
from .rates import read_rate
from .secret_files import kept_secret
from .states import Priority

#: sockaddr_un.sun_path on Linux holds 108 bytes with its closing NUL.
MAX_SOCKET_PATH_BYTES = 107

#: A random secret of this many characters can't be guessed.
SAFE_SECRET_LENGTH = 32

Names = tuple[str, ...]


class Settings(BaseModel):
    """All settings. `load` reads each from the environment variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True, validate_default=True)

    redis_url: str | None = Field(
        None,
        description="Address of the broker: `redis://`, `rediss://` (TLS), `unix://`, or "
        "`redis+sentinel://host:port,host:port/service`. It must be Redis 7 or newer, or Valkey. "
        "If not set, the embedded broker is used, which `make run` starts.",
    )
    redis_tls_verify: bool = Field(
        True,
        description="If `false`, the certificate of a `rediss://` broker is not checked: the connection is encrypted "
        "but not authenticated. Needed for a self-signed certificate, such as Heroku's.",
    )
    data_dir: Path = Field(
        Path("./var"),
        description="Folder of the embedded broker's files, generated secrets, stored files and unsent mails. "
        "Only one instance may use it at a time.",
    )
    storage_url: str | None = Field(
        None,
        description="Where files, models and documents are stored, as an fsspec address. `s3://bucket/folder` needs no "
        "further package ([how to use S3](operations.md#files-in-s3)). If not set: the folder `storage` in `DATA_DIR`. "
        "Web and workers must reach the same storage.",
    )

    port: int = Field(8000, ge=1, le=65535, description="TCP port of the web server, on all addresses of the machine.")
    web_concurrency: int = Field(
        1,
        ge=1,
        le=256,
        description="Number of web processes. One process serves a thousand waiting clients; more help only when "
        "its CPU is the limit.",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="Number of proxies in front of the web server. The client's address and its use of TLS are taken "
        "from the entries that this many proxies add to `X-Forwarded-For` and `X-Forwarded-Proto`.",
    )
    max_streams: int = Field(
        2_000,
        ge=1,
        description="Open streams, including WebSockets, of each web process. Further ones get 503.",
    )

    secret_key: str | None = Field(
        None,
        min_length=8,
        description="Signs tokens and sessions. Use 32 random characters or more; at least 8 are required. Changing it "
        "ends all tokens and sessions. If not set, a key is generated and kept in `DATA_DIR/secret_key`.",
    )
    admin_api_key: str | None = Field(
        None,
        min_length=8,
        description="API key of the user `admin`. Use 32 random characters or more; at least 8 are required. After a "
        "change, the old key stops working at the next start of the web server. If not set, a key is generated and "
        "kept in `DATA_DIR/admin_api_key`.",
    )
    registration: Literal["closed", "open"] = Field(
        "closed",
        description="`closed`: only administrators create users. `open`: anyone who reaches the port can create an "
        "account and run every job type.",
    )
    rate_limit: str = Field(
        "600/minute",
        description="Requests of one user, per `second`, `minute`, `hour` or `day`. Further ones get 429.",
    )
    max_active_jobs_per_user: int = Field(
        1_000,
        ge=1,
        description="Pending and running jobs of one user. Further submissions and retries get 429.",
    )
    max_running_jobs_per_user: int = Field(
        0,
        ge=0,
        description="Jobs of one user that run at the same time; the others wait as `limited`. Bulk actions do not "
        "count. 0 means no limit.",
    )

    job_packages: Names = Field(
        ("jobs",),
        description="Packages whose modules are searched for `@job` functions. Keep `jobs` when you add your own: it "
        "delivers webhooks, cleans up, and serves `/predict` and `/search`.",
    )
    allowed_functions: Names = Field(
        (),
        description="Functions outside the catalogue, as `module.name`, that plain RQ clients may enqueue with the "
        "JSON serializer. Anyone who can write to the broker can call them with any arguments.",
    )
    allowed_private_hosts: Names = Field(
        (),
        description="Host names and addresses that jobs and webhooks may reach although they are private. Anyone who "
        "can submit a job that fetches a URL can reach them through it.",
    )

    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1024,
        description="Worker processes of one `worker.py`: jobs that run at the same time on this machine. Memory "
        "is the usual limit: `WORKERS` times what your largest job needs.",
    )
    worker_queues: Names = Field(
        tuple(str(priority) for priority in Priority),
        description="Priorities of the jobs that the workers of this `worker.py` take, separated by commas. Jobs of a "
        "priority that no worker takes wait.",
    )
    worker_can: Names = Field(
        (),
        description="What the workers of this `worker.py` can do, as in `gpu,large`. They take jobs whose type has "
        "`needs`, if they can do all of them, and all other jobs.",
    )
    worker_only: Names = Field(
        (),
        description="Like `WORKER_CAN`, but the workers take no job that does not need one of these.",
    )
    shutdown_grace: float = Field(
        25.0,
        ge=1,
        le=3600,
        description="Seconds from the first SIGTERM to the last exit. Jobs that still run 3 seconds before the end "
        "are stopped and put back. Keep it below the time after which your platform kills (Heroku: 30). A lower value "
        "makes deployments faster and repeats more work.",
    )
    max_job_memory_bytes: int = Field(
        0,
        ge=0,
        description="Memory of one attempt and the processes that it started, checked once a second. An attempt that "
        "uses more fails as `memory_limit`. 0 means no limit.",
    )
    max_params_bytes: int = Field(
        1_048_576, ge=1, description="Size of a request's body. A larger one is refused with 413."
    )
    max_result_bytes: int = Field(
        1_048_576, ge=1, description="Size of a job's result. A job with a larger one fails as `result_too_large`."
    )
    max_upload_bytes: int = Field(
        104_857_600, ge=1, description="Size of an uploaded file. A larger one is refused with 413."
    )

    result_ttl: int = Field(
        7 * 86_400,
        ge=1,
        description="Seconds that a completed job is kept, unless its `@job` sets `result_ttl`. After that its address "
        "returns 404.",
    )
    failure_ttl: int = Field(7 * 86_400, ge=1, description="Seconds that a failed or cancelled job is kept.")
    file_ttl: int = Field(7 * 86_400, ge=1, description="Seconds that a file is kept.")

    smtp_url: str | None = Field(
        None,
        description="Mail server: `smtp://`, `smtps://` or `smtp+starttls://user:password@host:port`. If not set, "
        "mails are written to `DATA_DIR/mail` as .eml files.",
    )
    mail_from: str = Field("workhorse@localhost", description="Sender address of mails.")

    llm_base_url: str | None = Field(
        None,
        description="OpenAI-compatible address that `extract-vocabulary` uses. If not set, the job type chooses words "
        "by their frequency.",
    )
    llm_api_key: str | None = Field(None, description="API key for `LLM_BASE_URL`.")
    llm_model: str = Field("gpt-4o-mini", description="Name of the language model.")

    @field_validator(
        "job_packages",
        "allowed_functions",
        "allowed_private_hosts",
        "worker_queues",
        "worker_can",
        "worker_only",
        mode="before",
    )
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("worker_queues")
    @classmethod
    def _priorities(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = [str(priority) for priority in Priority]
        if wrong := [name for name in value if name not in known]:
            raise ValueError(f"{', '.join(wrong)}: not a priority; expected one or more of {', '.join(known)}")
        if not value:
            raise ValueError(f"expected one or more of {', '.join(known)}")
        return tuple(name for name in known if name in value)

    @field_validator("worker_can", "worker_only")
    @classmethod
    def _needs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [word for word in value if not is_need(word)]:
            raise ValueError(f"{wrong[0]!r} is not valid: expected {NEED_FORM}")
        return value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        read_rate(value)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"(redis|rediss|unix|redis\+sentinel)://", value):
            raise ValueError("expected redis://, rediss://, unix:// or redis+sentinel://")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def load(cls, **overrides: Any) -> Settings:
        """Read the environment. An empty variable counts as not set.

        Raises:
            ConfigurationError: naming every bad variable, its value and what was expected.
        """
        found = {name: value for name in cls.model_fields if (value := os.environ.get(name.upper()))}
        try:
            return cls(**found | overrides)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None

    @property
    def rate(self) -> tuple[int, int]:
        """The rate limit: a number of requests, and the seconds in which they may be made."""
        return read_rate(self.rate_limit)

    @property
    def ability(self) -> Ability:
        """The queues that the workers of this host serve."""
        return Ability(
            tuple(Priority(name) for name in self.worker_queues),
            can=frozenset(self.worker_can + self.worker_only),
            only=frozenset(self.worker_only),
        )

    @property
    def broker_socket(self) -> Path:
        """The embedded broker's socket: in DATA_DIR, or in a private temporary folder if that path is too long."""
        path = self.data_dir / "broker" / "broker.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
            return path
        digest = sha256(os.fsencode(self.data_dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"workhorse-{os.getuid()}-{digest}" / "broker.sock"

    @property
    def broker_url(self) -> str:
        """REDIS_URL, or the embedded broker's socket."""
        return self.redis_url or f"unix://{quote(str(self.broker_socket))}"

    @property
    def storage(self) -> str:
        """STORAGE_URL, or a folder in DATA_DIR."""
        return self.storage_url or f"file://{self.data_dir / 'storage'}"

    @cached_property
    def signing_key(self) -> str:
        """SECRET_KEY, or a generated key that is kept in DATA_DIR."""
        return self.secret_key or self.kept_secret("secret_key", lambda: secrets.token_urlsafe(48))

    def shown(self) -> dict[str, str]:
        """Return every setting as text, with secrets hidden."""
        return {name: _hidden(name, value) for name, value in self.model_dump().items()}

    def warnings(self) -> list[str]:
        """Return one sentence for each setting that endangers accounts."""
        return [
            f"{name.upper()} has only {len(value)} characters and may be guessed. "
            f"Use {SAFE_SECRET_LENGTH} random characters or more."
            for name, value in (("secret_key", self.secret_key), ("admin_api_key", self.admin_api_key))
            if value and len(value) < SAFE_SECRET_LENGTH
        ]

    def kept_secrets(self) -> list[str]:
        """Return the secrets that DATA_DIR holds, so that they can be masked in a text."""
        paths = [self.data_dir / name for name in ("secret_key", "admin_api_key")]
        return [path.read_text().strip() for path in paths if path.is_file()]

    def kept_secret(self, name: str, make: Callable[[], str]) -> str:
        """Return the secret that DATA_DIR holds under `name`, and make it first if there is none."""
        return kept_secret(self.data_dir / name, make)


def _explain(error: ValidationError) -> str:
    lines = [f"{str(fault['loc'][0]).upper()}={_shown(fault)}: {fault['msg']}" for fault in plain_errors(error)]
    return "These settings can't be used:\n  " + "\n  ".join(lines)


def _hidden(name: str, value: Any) -> str:
    if value is None:
        return "(not set)"
    if any(word in name for word in ("key", "secret")):
        return "(hidden)"
    # A URL may hold a password.
    return re.sub(r"(?<=://)[^/@\s]+@", "(hidden)@", str(value))


def _shown(fault: Any) -> str:
    secret = any(word in str(fault["loc"]) for word in ("key", "secret"))
    return "(hidden)" if secret else repr(fault["input"])


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process. They are read once."""
    return Settings.load()
