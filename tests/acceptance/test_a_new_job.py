"""Adding a job type is one function in one file: no other line of the project knows of it."""

from __future__ import annotations

from tests.acceptance.conftest import DROPPED
from tests.acceptance.house import SAMPLES, Api


def test_a_function_in_a_new_file_is_described_and_runs(alice: Api) -> None:
    """`count_lines` of the conftest, in a package that JOB_PACKAGES names."""
    told = alice.get("/job-types/count-lines")
    assert (told["summary"], told["result_schema"]["type"]) == ("Count the lines of a file.", "integer")
    assert told["params_schema"]["properties"]["file"]["format"] == "file-id"
    assert "count-lines" in alice.http.get(f"{alice.house.address}/openapi.json").text

    job = alice.ended(alice.submit("count-lines", {"file": alice.sample("sales.csv")}))
    assert job["result"] == len((SAMPLES / "sales.csv").read_text().splitlines())
    assert (job["progress_message"], job["progress_current"]) == ("Counting", 49)
    [fault] = alice.refused("count-lines", {"path": "/etc/passwd", "file": "0" * 32})[:1]
    assert fault["pointer"] == "/path"
    assert DROPPED not in str(told)
