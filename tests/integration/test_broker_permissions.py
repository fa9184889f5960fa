"""A broker that refuses permission is logged in a line, not in a trace a second, and work starts once it is granted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.harness import Harness
from tests.waiting import eventually

USER = "limited"
REFUSAL = "no permissions to run the 'evalsha' command"


def set_rules(harness: Harness, *rules: str) -> None:
    harness.connection.execute_command("ACL", "SETUSER", USER, *rules)


def refusals(harness: Harness) -> int:
    entries: Any = harness.connection.acl_log()
    return sum(entry["count"] for entry in entries if (entry["username"], entry["object"]) == (USER, "evalsha"))


def test_a_user_without_scripts_is_one_line_for_each_process_until_it_may_run_them(
    harness: Harness, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    set_rules(harness, "reset", "on", ">secret", "~*", "&*", "+@all", "-@scripting")
    address = harness.settings.broker_url.replace("unix://", f"unix://{USER}:secret@")
    job = harness.submit("noop")

    harness.launch_workers({"REDIS_URL": address}, log)
    eventually(lambda: refusals(harness) >= 20, "its processes try again and again")

    lines = [line for line in log.read_text().splitlines() if REFUSAL in line]
    assert len(lines) == 2, "one of the worker and one of the scheduler"
    assert all("ACL SETUSER <user> ~* &* +@all -@dangerous" in line for line in lines)
    assert "Traceback" not in log.read_text()

    set_rules(harness, "reset", "on", ">secret", "~*", "&*", "+@all", "-@dangerous")
    assert harness.ended(job).status == "completed"
    assert "Traceback" not in log.read_text()
