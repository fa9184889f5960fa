from __future__ import annotations

import pytest

from jobs.engine import Fatal, File
from jobs.engine.accounts.accounts import Accounts
from jobs.engine.author.file_copies import remove_copies
from jobs.engine.broker.connection import connect
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.errors import (
    InvalidParameters,
)
from jobs.engine.settings import settings
from tests.file_storage import enter, save


def takes_a_file(file: File) -> None: ...


def takes_files(first: File, more: list[File] | None = None) -> None: ...


def test_a_file_is_a_string_in_the_schema():
    schema = Parameters(takes_files).schema["properties"]
    assert schema["first"]["format"] == "file-id" and schema["first"]["type"] == "string"
    assert schema["more"]["anyOf"][0]["items"]["format"] == "file-id"


@pytest.mark.parametrize("bad", ["", "nope", "A" * 32, 7, None, {}, "/etc/passwd"])
def test_an_invalid_file_id_is_refused(bad):
    with pytest.raises(InvalidParameters) as refused:
        Parameters(takes_files).validate({"first": bad})
    assert refused.value.faults[0].pointer == "/first"


def test_a_job_reads_its_file(in_a_job, storage):
    [file], _ = Parameters(takes_a_file).bind({"file": save(b"hello\n", name="hello.txt")})
    assert (file.filename, file.content_type, file.size) == ("hello.txt", "text/plain", 6)
    assert file.path.read_bytes() == b"hello\n"
    with file.open() as source:
        assert source.read() == b"hello\n"
    in_storage = settings().data_dir in file.path.parents
    assert in_storage == (storage == "folder")
    path = file.path
    remove_copies()
    assert path.exists() == (storage == "folder")


def test_a_missing_file_fails_its_job_for_good(in_a_job, store):
    file_id = save()
    store.delete(store.find(file_id))
    with pytest.raises(Fatal, match="upload it again"):
        File(file_id=file_id).open()


def test_only_an_admins_job_can_use_a_file_of_another_user(in_a_job):
    theirs = save(owner="bob")
    with pytest.raises(Fatal, match="belongs to another user"):
        _ = File(file_id=theirs).path
    with connect(settings()) as connection:
        Accounts(connection, settings()).ensure_admin()
    for user in ("admin", None, "bob"):
        enter(user=user)
        assert File(file_id=theirs).size == 7


def test_a_local_file_can_be_used_outside_a_job(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,2")
    file = File(tmp_path / "a.csv")
    assert (file.filename, file.content_type, file.size) == ("a.csv", "text/csv", 3)
    with file.open() as source:
        assert source.read() == b"1,2"
