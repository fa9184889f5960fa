"""The settings: one frozen object, the only reader of the environment.

Every value has a safe default. Secrets that are not set are made once and kept under
`DATA_DIR`, readable by the owner alone.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .errors import ConfigurationError
from .pydantic_errors import plain_errors

#: sockaddr_un.sun_path on Linux holds 108 bytes with its closing NUL.
MAX_SOCKET_PATH_BYTES = 107

Names = Annotated[tuple[str, ...], NoDecode]


#: Characters of a secret from which on nobody guesses it, if they are random.
SAFE_SECRET = 32


class Settings(BaseSettings):
    """Everything that can be set, by environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    port: int = Field(8000, ge=1, le=65535)
    redis_url: str | None = None
    redis_tls_verify: bool = True
    data_dir: Path = Path("./var")
    storage_url: str | None = None

    secret_key: str | None = Field(None, min_length=8)
    admin_api_key: str | None = Field(None, min_length=8)
    registration: Literal["closed", "open"] = "closed"

    job_packages: Names = ("jobs",)
    allowed_functions: Names = ()

    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1, le=1024)
    web_concurrency: int = Field(1, ge=1, le=256)
    #: Proxies before the web process, each of which adds to X-Forwarded-For and sets X-Forwarded-Proto.
    trusted_proxies: int = Field(0, ge=0, le=10)
    #: Seconds from the first SIGTERM to the last exit. Heroku kills after 30.
    shutdown_grace: float = Field(25.0, ge=1, le=3600)

    #: Seconds. A result must outlive the client that polls for it: at least a second.
    result_ttl: int = Field(7 * 86_400, ge=1)
    failure_ttl: int = Field(7 * 86_400, ge=1)
    file_ttl: int = Field(7 * 86_400, ge=1)

    max_job_memory_bytes: int = Field(0, ge=0)
    max_streams: int = Field(2_000, ge=1)
    max_params_bytes: int = Field(1_048_576, ge=1)
    max_result_bytes: int = Field(1_048_576, ge=1)
    max_upload_bytes: int = Field(104_857_600, ge=1)
    max_active_jobs_per_user: int = Field(1_000, ge=1)
    max_running_jobs_per_user: int = Field(0, ge=0)
    rate_limit: str = "600/minute"

    smtp_url: str | None = None
    mail_from: str = "workhorse@localhost"

    llm_base_url: str | None = None
    llm_api_key: str | None = None
    llm_model: str = "gpt-4o-mini"
    allowed_private_hosts: Names = ()

    @field_validator("job_packages", "allowed_functions", "allowed_private_hosts", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("rate_limit")
    @classmethod
    def _rate(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9]\d{0,8}/(second|minute|hour|day)", value):
            raise ValueError("expected a number, a slash and second, minute, hour or day, as in 600/minute")
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
        """Read the environment.

        Raises:
            ConfigurationError: naming every bad variable, its value and what was expected.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None

    @property
    def rate(self) -> tuple[int, float]:
        """Requests, and the seconds in which they may be made."""
        count, unit = self.rate_limit.split("/")
        return int(count), {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}[unit]

    @property
    def broker_socket(self) -> Path:
        """Where the embedded broker listens: in DATA_DIR, or in a short private place if that path is too long."""
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
        """SECRET_KEY, or one that was made once and is kept in DATA_DIR."""
        return self.secret_key or self.kept_secret("secret_key", lambda: secrets.token_urlsafe(48))

    def shown(self) -> dict[str, str]:
        """Every setting as text, secrets hidden."""
        return {name: _hidden(name, value) for name, value in self.model_dump().items()}

    def warnings(self) -> list[str]:
        """What in the settings endangers accounts, one sentence each."""
        return [
            f"{name.upper()} has {len(value)} characters, and may be guessed. Take {SAFE_SECRET} random ones or more."
            for name, value in (("secret_key", self.secret_key), ("admin_api_key", self.admin_api_key))
            if value and len(value) < SAFE_SECRET
        ]

    def kept_secrets(self) -> list[str]:
        """The secrets that DATA_DIR holds by now: for whoever has to keep them out of a text."""
        paths = [self.data_dir / name for name in ("secret_key", "admin_api_key")]
        return [path.read_text().strip() for path in paths if path.is_file()]

    def kept_secret(self, name: str, make: Any) -> str:
        """The secret kept in DATA_DIR under `name`; made by whichever process comes first."""
        path = self.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            # Written whole beside it and linked: link() fails if another process was first,
            # and no process ever reads half a secret.
            draft = path.with_name(f".{name}.{secrets.token_hex(8)}")
            draft.touch(mode=0o600)
            draft.write_text(make())
            try:
                os.link(draft, path)
            except FileExistsError:
                pass  # another process was first, and its secret is as good
            finally:
                draft.unlink()
        return path.read_text().strip()


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
    """The settings of this process, read once."""
    return Settings.load()
