"""Settings: reading the environment, defaults, secrets and errors."""

from __future__ import annotations

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.engine.errors import ConfigurationError
from jobs.engine.queue_names import Ability
from jobs.engine.secret_files import kept_secret
from jobs.engine.settings import MAX_SOCKET_PATH_BYTES, Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


# --- the environment -----------------------------------------------------------------------


def test_every_setting_has_a_default() -> None:
    assert Settings.load().port == 8000


def test_a_variable_in_capitals_sets_the_setting_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert Settings.load().port == 9000


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("MAX_STREAMS", "")
    assert Settings.load().redis_url is None
    assert Settings.load().max_streams == 2_000


def test_names_in_a_list_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_PACKAGES", "jobs, mine,,")
    assert Settings.load().job_packages == ("jobs", "mine")


def test_priorities_of_a_worker_are_in_the_order_in_which_it_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().worker_queues == ("high", "default", "low")
    monkeypatch.setenv("WORKER_QUEUES", "low, high,low")
    assert Settings.load().worker_queues == ("high", "low")


@pytest.mark.parametrize("queues", ["high,urgent", "HIGH", ","])
def test_a_priority_that_does_not_exist_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch, queues: str) -> None:
    monkeypatch.setenv("WORKER_QUEUES", queues)
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    _, line = refused.value.message.splitlines()
    assert line.startswith(f"  WORKER_QUEUES={queues!r}: ")
    assert line.endswith("expected one or more of high, default, low")


def test_a_worker_can_do_what_it_only_does() -> None:
    ability = Settings.load(worker_can="large", worker_only="gpu").ability
    assert ability == Ability(can=frozenset({"large", "gpu"}), only=frozenset({"gpu"}))


@pytest.mark.parametrize("name", ["WORKER_CAN", "WORKER_ONLY"])
def test_a_need_with_an_odd_name_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "large,Gpu 2")
    with pytest.raises(ConfigurationError, match=f"{name}='large,Gpu 2': 'Gpu 2' is not valid: expected lower-case"):
        Settings.load()


def test_an_empty_list_of_needs_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_ONLY", " , ")
    assert Settings.load().ability == Ability()


def test_all_bad_values_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "70000")
    monkeypatch.setenv("RATE_LIMIT", "fast")
    monkeypatch.setenv("REDIS_URL", "http://broker")
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    assert "PORT='70000'" in refused.value.message
    assert "RATE_LIMIT='fast': expected a number, a slash and" in refused.value.message
    assert "REDIS_URL='http://broker': expected redis://" in refused.value.message


def test_a_bad_secret_is_reported_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_API_KEY", "short")
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    assert "ADMIN_API_KEY=(hidden)" in refused.value.message
    assert "short" not in refused.value.message.removeprefix("ADMIN_API_KEY")


# --- derived values ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "rate"),
    [("5/second", (5, 1.0)), ("600/minute", (600, 60.0)), ("10/hour", (10, 3600.0)), ("1/day", (1, 86_400.0))],
)
def test_a_rate_is_a_count_and_seconds(limit: str, rate: tuple[int, float]) -> None:
    assert Settings(rate_limit=limit).rate == rate


def test_the_embedded_broker_listens_in_data_dir_if_its_path_is_short_enough(tmp_path: Path) -> None:
    assert Settings(data_dir=Path("/x")).broker_socket == Path("/x/broker/broker.sock")
    long = Settings(data_dir=tmp_path / ("x" * MAX_SOCKET_PATH_BYTES)).broker_socket
    assert len(str(long)) <= MAX_SOCKET_PATH_BYTES
    assert long.name == "broker.sock"


def test_files_are_stored_in_data_dir_unless_a_storage_url_is_set(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).storage == f"file://{tmp_path}/storage"
    assert Settings(storage_url="s3://bucket/folder").storage == "s3://bucket/folder"


# --- secrets -------------------------------------------------------------------------------


def test_settings_are_shown_without_secrets_and_passwords() -> None:
    shown = Settings(secret_key="s" * 40, redis_url="redis://:password@broker:6379").shown()
    assert shown["secret_key"] == "(hidden)"
    assert shown["redis_url"] == "redis://(hidden)@broker:6379"
    assert shown["admin_api_key"] == "(not set)"


def test_a_short_secret_causes_a_warning_that_names_it() -> None:
    (warning,) = Settings(secret_key="a" * 12, admin_api_key="b" * 32).warnings()
    assert warning.startswith("SECRET_KEY has only 12 characters")


def test_a_signing_key_is_generated_once_and_kept(tmp_path: Path) -> None:
    first = Settings(data_dir=tmp_path).signing_key
    assert len(first) >= 32
    assert Settings(data_dir=tmp_path).signing_key == first
    assert Settings(data_dir=tmp_path).kept_secrets() == [first]


def test_a_configured_signing_key_is_not_written_to_disk(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path, secret_key="k" * 32).signing_key == "k" * 32
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_can_read_a_kept_secret(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret_key"
    assert kept_secret(path, lambda: "a secret") == "a secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_at_the_same_time_share_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        results = threads.map(lambda n: kept_secret(tmp_path / "secret_key", lambda: f"secret {n}"), range(64))
    assert len(set(results)) == 1


def test_a_worker_starts_without_the_modules_that_only_others_need() -> None:
    asked = "import sys, worker; print([name for name in ('asyncio', 'ssl', 'redis', 'rq') if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"
