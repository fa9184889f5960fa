"""The embedded broker, with a real server on a folder of its own."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from jobs.engine.broker.connection import connect
from jobs.engine.errors import CannotStart
from jobs.engine.local.embedded_broker import STOP_TIMEOUT_SECONDS, EmbeddedBroker
from jobs.engine.local.server_config import configuration, environment
from jobs.engine.settings import MAX_SOCKET_PATH_BYTES, Settings
from tests.waiting import eventually


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", redis_url=None)


@pytest.fixture
def running(settings: Settings) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(settings, say=lambda sentence: None) as started:
        yield started


@pytest.fixture
def connection(running: EmbeddedBroker) -> Iterator[redis.Redis]:
    with connect(running.settings) as connection:
        yield connection


def responds(connection: redis.Redis) -> bool:
    try:
        return bool(connection.ping())
    except redis.ConnectionError:
        return False


# --- its configuration ------------------------------------------------------------


def test_the_broker_keeps_everything_on_disk_and_evicts_nothing(connection: redis.Redis) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction", "port": "0"}
    assert {name: connection.config_get(name)[name] for name in wanted} == wanted


def test_a_small_result_takes_little_memory(connection: redis.Redis) -> None:
    connection.xadd("rq:results:job", {"type": "1", "return_value": "bnVsbA=="}, maxlen=10, approximate=False)
    assert (connection.memory_usage("rq:results:job") or 0) < 1_024


def test_a_large_result_fits(connection: redis.Redis) -> None:
    value = b"x" * 100_000
    for _ in range(3):
        connection.xadd("rq:results:job", {"return_value": value}, maxlen=2, approximate=False)
    entries: Any = connection.xrange("rq:results:job")
    assert [fields[b"return_value"] for _id, fields in entries] == [value, value]


def test_the_server_runs_with_its_own_tunables(running: EmbeddedBroker) -> None:
    assert running.pid is not None
    assert psutil.Process(running.pid).environ()["GLIBC_TUNABLES"] == environment(os.environ)["GLIBC_TUNABLES"]


def test_only_its_owner_can_reach_the_broker(running: EmbeddedBroker, settings: Settings) -> None:
    assert stat.S_IMODE(settings.broker_socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.broker_socket.stat().st_mode) == 0o700
    assert running.pid is not None
    assert psutil.Process(running.pid).net_connections("inet") == []


def test_a_path_with_spaces_quotes_and_accents_works(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / 'a "b" ü\\')
    with EmbeddedBroker(settings), connect(settings) as connection:
        assert connection.ping()


def test_a_path_that_is_too_long_for_a_socket_works(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / ("long" * MAX_SOCKET_PATH_BYTES)[:MAX_SOCKET_PATH_BYTES])
    with EmbeddedBroker(settings), connect(settings) as connection:
        assert connection.ping()
    settings.broker_socket.parent.rmdir()


def test_ctrl_c_in_the_terminal_does_not_reach_it(running: EmbeddedBroker) -> None:
    assert running.pid is not None
    assert os.getsid(running.pid) != os.getsid(0)


# --- its life -----------------------------------------------------------------------


def test_acknowledged_writes_survive_a_kill_9_and_it_restarts(running: EmbeddedBroker, connection: redis.Redis) -> None:
    connection.mset({f"key:{number}": number for number in range(1_000)})
    killed = running.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: running.pid != killed and responds(connection), "the server is started again")
    assert connection.dbsize() == 1_000


def test_the_death_of_the_broker_is_reported(settings: Settings) -> None:
    reports: list[str] = []
    with EmbeddedBroker(settings, say=reports.append) as running:
        assert running.pid is not None
        os.kill(running.pid, signal.SIGKILL)
        eventually(lambda: bool(reports), "its death is reported")
    assert "died (exit code -9); starting it again" in reports[0]


def test_a_second_start_continues_where_the_first_stopped(settings: Settings) -> None:
    for expected in (1, 2, 3):
        with EmbeddedBroker(settings), connect(settings) as connection:
            assert connection.incr("starts") == expected


def test_stop_waits_for_the_end_of_the_process(settings: Settings) -> None:
    running = EmbeddedBroker(settings)
    running.start()
    pid = running.pid
    assert pid is not None
    running.stop()
    assert not psutil.pid_exists(pid)
    running.stop()


def test_a_suspended_server_can_still_be_ended(settings: Settings) -> None:
    with EmbeddedBroker(settings) as running:
        assert running.pid is not None
        os.kill(running.pid, signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < STOP_TIMEOUT_SECONDS


def test_a_second_instance_on_the_same_data_is_refused(running: EmbeddedBroker, settings: Settings) -> None:
    with pytest.raises(CannotStart, match=rf"in use by another instance \(process {os.getpid()}\).*set DATA_DIR"):
        EmbeddedBroker(settings).start()


def test_the_server_of_a_killed_instance_is_ended_before_a_new_one_starts(settings: Settings) -> None:
    script = (
        "import os, signal, sys\n"
        "from jobs.engine.local.embedded_broker import EmbeddedBroker\n"
        "from jobs.engine.settings import Settings\n"
        "broker = EmbeddedBroker(Settings.load())\n"
        "broker.start()\n"
        "print(broker.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "DATA_DIR": str(settings.data_dir)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    orphan = int(killed.stdout)
    assert psutil.pid_exists(orphan)
    with EmbeddedBroker(settings) as running:
        assert running.pid != orphan
        eventually(
            lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE,
            "the orphan ends",
        )


def test_another_program_with_a_recycled_pid_is_left_alone(settings: Settings) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        folder = settings.data_dir / "broker"
        folder.mkdir(parents=True)
        (folder / "broker.pid").write_text(str(stranger.pid))
        with EmbeddedBroker(settings):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_can_not_start_is_reported_and_may_start_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = configuration(settings) + "dir /nowhere/at/all\n"
    monkeypatch.setattr("jobs.engine.local.embedded_broker.configuration", lambda settings: broken)
    with pytest.raises(CannotStart, match=r"did not start"):
        EmbeddedBroker(settings).start()
    monkeypatch.undo()
    with EmbeddedBroker(settings), connect(settings) as connection:
        assert connection.ping()
