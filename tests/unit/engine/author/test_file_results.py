from __future__ import annotations

import io

import pytest

from jobs.engine import SavedFile, save_file
from jobs.engine.author.running import Cancelled
from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.result_type import ResultType
from jobs.engine.settings import settings
from tests.file_storage import enter, objects


def test_a_produced_file_belongs_to_the_jobs_owner(in_a_job, store, tmp_path):
    (tmp_path / "source").write_bytes(b"from a path")
    for content, expected in ((b"bytes", b"bytes"), (tmp_path / "source", b"from a path"), (b"", b"")):
        saved = save_file(content, "../../out.csv")
        stored = store.find(saved.file_id)
        assert (stored.owner, stored.filename, stored.content_type) == ("alice", "out.csv", "text/csv")
        assert b"".join(store.read(stored)) == expected
    with connect(settings()) as connection:
        assert connection.zcard("wh:files:alice") == 3


def test_a_saved_file_can_be_part_of_a_result(in_a_job):
    def produce() -> SavedFile:
        return save_file(b"x", "x.txt")

    text = ResultType(produce).dump(produce())
    saved = SavedFile.model_validate_json(text)
    assert (saved.filename, saved.size) == ("x.txt", 1)
    assert ResultType(produce).schema["properties"]["file_id"] == {"title": "File Id", "type": "string"}


def test_a_retry_replaces_the_files_of_the_first_attempt(in_a_job, store):
    first = [save_file(content, "a").file_id for content in (b"1", b"2")]
    enter()
    second = [save_file(content, "b").file_id for content in (b"3", b"4")]
    assert first == second
    assert len(objects(settings())) == 2
    assert [b"".join(store.read(store.find(each))) for each in second] == [b"3", b"4"]
    enter(job_id="j2")
    assert save_file(b"5", "c").file_id not in first


def test_a_file_in_the_checkpoint_is_kept(in_a_job, store):
    kept = save_file(b"done before", "a")
    enter(checkpoint={"step": {"file": kept.model_dump(mode="json")}})
    later = save_file(b"done after", "b")
    assert later.file_id != kept.file_id
    assert b"".join(store.read(store.find(kept.file_id))) == b"done before"


def test_a_job_without_a_user_saves_files_without_an_owner(in_a_job, store):
    enter(user=None)
    assert store.find(save_file(b"x", "x").file_id).owner == ""


def test_a_job_whose_owner_was_removed_stops(in_a_job):
    with connect(settings()) as connection:
        connection.delete("wh:user:alice")
    with pytest.raises(Cancelled):
        save_file(b"x", "x")
    assert objects(settings()) == []


def test_outside_a_job_a_file_is_saved_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    settings.cache_clear()
    saved = save_file(io.BytesIO(b"x").getvalue(), "x.txt")
    assert (tmp_path / "saved" / saved.file_id / "x.txt").read_bytes() == b"x"
    settings.cache_clear()
