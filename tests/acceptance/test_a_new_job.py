"""A job type is added by one function in one file. No other line of the project changes."""

from __future__ import annotations

from tests.acceptance.conftest import ADDED
from tests.acceptance.instance import SAMPLES, Api


def test_a_function_in_a_new_file_is_described_and_runs(alice: Api) -> None:
    """Run `count_lines` of the conftest, which is in a package of JOB_PACKAGES."""
    described = alice.get("/job-types/count-lines")
    assert (described["summary"], described["result_schema"]["type"]) == ("Count the lines of a file.", "integer")
    assert described["params_schema"]["properties"]["file"]["format"] == "file-id"
    assert "count-lines" in alice.http.get(f"{alice.instance.address}/openapi.json").text

    job = alice.ended(alice.submit("count-lines", {"file": alice.sample("sales.csv")}))
    assert job["result"] == len((SAMPLES / "sales.csv").read_text().splitlines())
    assert (job["progress_message"], job["progress_current"]) == ("Counting", 49)
    [fault] = alice.refused("count-lines", {"path": "/etc/passwd", "file": "0" * 32})[:1]
    assert fault["pointer"] == "/path"
    assert ADDED not in str(described)
