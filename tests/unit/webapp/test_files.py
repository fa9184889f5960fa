"""Uploading, fetching and deleting files over HTTP."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from jobs.engine.author.decorator import job
from jobs.engine.author.file_parameters import File
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.settings import Settings
from tests.unit.webapp.conftest import Person
from webapp.services import Services

CONTENT = bytes(range(256)) * 40
MAX_UPLOAD_BYTES = 50_000


@job
def read_files(first: File, others: list[File] | None = None) -> int:
    """Read files."""
    return first.size + sum(file.size for file in others or [])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, secret_key="s" * 32, max_params_bytes=20_000, max_upload_bytes=MAX_UPLOAD_BYTES)


@pytest.fixture
def services(services: Services) -> Services:
    services.client.catalogue = services.catalogue
    catalogue = Catalogue([*services.catalogue.values(), JobType.of(read_files)])
    object.__setattr__(services, "catalogue", catalogue)
    services.client.catalogue = catalogue
    return services


def uploads(person: Person, content: bytes = CONTENT, name: str = "a.bin", kind: str = "image/png") -> TestResponse:
    return person.post("/api/v1/files", data={"file": (io.BytesIO(content), name, kind)})


def uploaded(person: Person, **options: Any) -> dict[str, Any]:
    answer = uploads(person, **options)
    assert answer.status_code == 201, answer.text
    resource: dict[str, Any] = answer.get_json()
    return resource


def stored(folder: Path) -> list[Path]:
    return [path for path in (folder / "storage").rglob("*") if path.is_file()]


class Pipe(io.RawIOBase):
    """A body of unknown length."""

    def readable(self) -> bool:
        return True

    def seek(self, *_: Any) -> int:  # Werkzeug's test client rewinds
        return 0


def multipart(*parts: tuple[str, bytes]) -> dict[str, Any]:
    body = b"".join(b"--b\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts)
    return {"data": body + b"--b--\r\n", "content_type": "multipart/form-data; boundary=b"}


A_FILE = 'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain'


def test_a_file_is_downloaded_as_it_was_uploaded(alice):
    answer = uploads(alice, name="Übersicht 1.png")
    file = answer.get_json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/files/{file['file_id']}"
    assert (file["filename"], file["content_type"], file["size"]) == ("Übersicht 1.png", "image/png", len(CONTENT))
    assert file["sha256"] == sha256(CONTENT).hexdigest()
    assert file["expires_at"] > file["created_at"]
    assert set(file) == {"file_id", "filename", "content_type", "size", "sha256", "created_at", "expires_at"}
    assert alice.get(answer.headers["Location"]).get_json() == file

    fetched = alice.get(f"/api/v1/files/{file['file_id']}/content")
    assert fetched.status_code == 200
    assert fetched.data == CONTENT
    assert fetched.content_length == len(CONTENT)
    assert fetched.headers["Content-Type"] == "image/png"
    assert fetched.headers["X-Content-Type-Options"] == "nosniff"
    assert fetched.headers["Accept-Ranges"] == "bytes"
    assert fetched.headers["Content-Disposition"] == (
        "attachment; filename=\"_bersicht 1.png\"; filename*=UTF-8''%C3%9Cbersicht%201.png"
    )


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-99", 0, 99),
        ("100-", 100, 10_239),
        ("-10", 10_230, 10_239),
        ("10000-99999", 10_000, 10_239),
        ("0-", 0, 10_239),
    ],
)
def test_a_range_of_a_file_is_sent(alice, asked, first, last):
    file_id = uploaded(alice)["file_id"]
    answer = alice.get(f"/api/v1/files/{file_id}/content", headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    assert answer.data == CONTENT[first : last + 1]
    assert answer.content_length == len(answer.data)


def test_a_range_outside_the_file_is_refused_with_its_size(alice):
    file_id = uploaded(alice)["file_id"]
    answer = alice.get(f"/api/v1/files/{file_id}/content", headers={"Range": "bytes=99999-"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("asked", ["nonsense", "bytes=5-1", "bytes=0-1,5-6", "lines=1-2"])
def test_an_invalid_or_multiple_range_gets_the_whole_file(alice, asked):
    file_id = uploaded(alice)["file_id"]
    answer = alice.get(f"/api/v1/files/{file_id}/content", headers={"Range": asked})
    assert (answer.status_code, answer.data) == (200, CONTENT)


def test_a_client_with_the_current_content_gets_304(alice):
    path = f"/api/v1/files/{uploaded(alice)['file_id']}/content"
    etag = alice.get(path).headers["ETag"]
    unchanged = alice.get(path, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert alice.get(path, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert alice.get(path, headers={"Range": "bytes=0-1", "If-Range": '"other"'}).status_code == 200


def test_a_file_that_a_browser_could_run_is_sent_as_a_download(alice):
    file = uploaded(alice, content=b"<script>alert(1)</script>", name="a.html", kind="text/html; charset=utf-8")
    answer = alice.get(f"/api/v1/files/{file['file_id']}/content")
    assert file["content_type"] == "text/html"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("a\u202etxt.exe", "atxt.exe"),
        ("ä" * 300 + ".csv", "ä" * 125 + ".csv"),
    ],
)
def test_a_filename_is_never_a_path(alice, tmp_path, sent, kept):
    file = uploaded(alice, name=sent)
    assert file["filename"] == kept
    assert [path.name for path in stored(tmp_path)] == [file["file_id"]]


def test_a_line_break_in_a_filename_does_not_reach_a_header(alice):
    head = 'Content-Disposition: form-data; name="file"; filename="a%0d%0aX-Evil: 1\\".txt"'
    file = alice.post("/api/v1/files", **multipart((head, b"x"))).get_json()
    answer = alice.get(f"/api/v1/files/{file['file_id']}/content")
    assert "X-Evil" not in answer.headers
    assert answer.headers["Content-Disposition"].count('"') == 2


def test_an_announced_size_over_the_limit_is_refused_before_the_body_is_read(alice, tmp_path):
    class Unread(Pipe):
        def readinto(self, buffer: Any) -> int:
            raise AssertionError("it was read")

    answer = alice.post(
        "/api/v1/files",
        input_stream=Unread(),
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"CONTENT_LENGTH": str(MAX_UPLOAD_BYTES + 100_000)},
    )
    assert answer.status_code == 413


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(alice, tmp_path, services):
    answer = uploads(alice, content=b"x" * (MAX_UPLOAD_BYTES + 1))
    assert (answer.status_code, answer.get_json()["code"]) == (413, "payload_too_large")
    assert uploads(alice, content=b"x" * MAX_UPLOAD_BYTES).status_code == 201
    assert len(stored(tmp_path)) == 1


def test_an_endless_chunked_upload_is_read_up_to_the_limit(alice, tmp_path):
    class Endless(Pipe):
        sent = 0

        def readinto(self, buffer: Any) -> int:
            head = b"--b\r\n" + A_FILE.encode() + b"\r\n\r\n" if not self.sent else b""
            data = (head + b"x" * len(buffer))[: len(buffer)]
            buffer[: len(data)] = data
            Endless.sent += len(data)
            return len(data)

    answer = alice.post(
        "/api/v1/files",
        input_stream=Endless(),
        content_type="multipart/form-data; boundary=b",
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )
    assert answer.status_code == 413
    assert Endless.sent < MAX_UPLOAD_BYTES + 300_000
    assert not stored(tmp_path)


FIELD = 'Content-Disposition: form-data; name="{}"'


@pytest.mark.parametrize(
    ("parts", "pointer"),
    [
        ([], "/file"),
        ([(FIELD.format("note"), b"x")], "/note"),
        ([(FIELD.format("note"), b"x"), (A_FILE, b"1")], "/note"),
        ([(A_FILE, b"1"), (FIELD.format("user_id"), b"bob")], "/user_id"),
        ([(A_FILE, b"1"), (A_FILE, b"2")], "/file"),
        ([(A_FILE.replace('"file"', '"other"'), b"1")], "/other"),
        ([(FIELD.format("file"), b"no file")], "/file"),
        ([(A_FILE.replace("a.txt", ""), b"1")], "/file"),
    ],
)
def test_an_upload_without_exactly_one_file_is_refused_and_leaves_nothing(alice, tmp_path, parts, pointer):
    answer = alice.post("/api/v1/files", **multipart(*parts))
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == [pointer]
    assert not stored(tmp_path)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"--b--", 400),
        ("multipart/form-data; boundary=b", b"", 422),
        ("multipart/form-data; boundary=b", b"nonsense", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n" + A_FILE.encode() + b"\r\n\r\nhalf", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n" + A_FILE.encode() + b"\r\n\r\nhalf\r\n--b", 400),
    ],
)
def test_an_incomplete_multipart_body_is_refused_and_leaves_nothing(alice, tmp_path, content_type, body, status):
    answer = alice.post("/api/v1/files", data=body, content_type=content_type)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert not stored(tmp_path)


def test_only_its_owner_and_admins_see_a_file(alice, bob, admin, stranger):
    path = f"/api/v1/files/{uploaded(alice)['file_id']}"
    for method, at in (("GET", path), ("GET", f"{path}/content"), ("DELETE", path)):
        answer = bob(method, at)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")
        assert "a.bin" not in answer.text
        assert stranger.open(at, method=method).status_code == 401
    assert admin.get(path).status_code == 200
    assert admin.get(f"{path}/content").data == CONTENT


@pytest.mark.parametrize("file_id", ["0" * 32, "nope", "..", "%2e%2e%2fadmin"])
def test_an_unknown_file_is_not_found(alice, file_id):
    for path in (f"/api/v1/files/{file_id}", f"/api/v1/files/{file_id}/content"):
        answer = alice.get(path)
        assert answer.status_code == 404
        assert answer.get_json()["code"] in ("file_not_found", "not_found")


def test_a_deleted_file_is_removed_with_its_bytes(alice, tmp_path):
    path = f"/api/v1/files/{uploaded(alice)['file_id']}"
    assert alice.delete(path).status_code == 204
    assert alice.get(path).status_code == 404
    assert alice.get(f"{path}/content").status_code == 404
    assert alice.delete(path).status_code == 404
    assert not stored(tmp_path)


def test_the_files_of_a_deleted_user_are_deleted(alice, bob, admin, registered, tmp_path):
    file_id, kept = uploaded(alice)["file_id"], uploaded(bob)["file_id"]
    assert admin.delete("/api/v1/users/alice").status_code == 204
    assert [path.name for path in stored(tmp_path)] == [kept]
    assert admin.get(f"/api/v1/files/{file_id}").status_code == 404
    assert registered("alice").get(f"/api/v1/files/{file_id}").status_code == 404


@pytest.fixture
def submit(alice: Person) -> Any:
    return lambda body, **options: alice.post("/api/v1/jobs/read-files", json=body, **options)


def test_a_job_may_use_the_files_of_its_submitter(alice, submit):
    first, second = uploaded(alice)["file_id"], uploaded(alice)["file_id"]
    assert submit({"first": first, "others": [second, first]}).status_code == 202
    assert submit({"first": first}).get_json()["params"] == {"first": first}


def test_a_file_that_does_not_exist_is_refused_with_a_pointer(alice, submit):
    here, gone = uploaded(alice)["file_id"], "0" * 32
    answer = submit({"first": here, "others": [here, gone]})
    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [
        {"pointer": "/others/1", "code": "unknown_file", "message": f"There is no file '{gone}'; it may have expired."}
    ]
    assert submit({"first": "no file id"}).get_json()["errors"][0]["pointer"] == "/first"
    assert alice.get("/api/v1/jobs").get_json()["jobs"] == []


def test_only_an_admin_may_use_another_user_s_file(alice, bob, admin, submit):
    theirs = uploaded(bob)["file_id"]
    answer = submit({"first": "0" * 32, "others": [theirs]})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")
    assert admin.post("/api/v1/jobs/read-files", json={"first": theirs}).status_code == 202


def test_a_repeat_with_the_same_key_succeeds_although_the_file_is_gone(alice, submit):
    file_id = uploaded(alice)["file_id"]
    headers = {"Idempotency-Key": "k1"}
    first = submit({"first": file_id}, headers=headers)
    alice.delete(f"/api/v1/files/{file_id}")
    again = submit({"first": file_id}, headers=headers)
    assert (again.status_code, again.get_json()["job_id"]) == (202, first.get_json()["job_id"])
    assert submit({"first": file_id}).status_code == 422


def test_a_repeated_request_is_refused_if_its_job_and_file_no_longer_exist(alice, submit, services):
    file_id = uploaded(alice)["file_id"]
    headers = {"Idempotency-Key": "k1"}
    job_id = submit({"first": file_id}, headers=headers).get_json()["job_id"]
    alice.delete(f"/api/v1/files/{file_id}")
    services.client.store.connection.delete(f"rq:job:{job_id}")
    assert submit({"first": file_id}, headers=headers).status_code == 422


def test_a_file_parameter_has_its_own_format_in_the_schema(alice, app: Flask):
    schema = alice.get("/api/v1/job-types/read-files").get_json()["params_schema"]
    assert schema["properties"]["first"]["format"] == "file-id"
    assert schema["properties"]["first"]["type"] == "string"
