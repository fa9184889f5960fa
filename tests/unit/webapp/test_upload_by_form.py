"""Without JavaScript, a browser uploads files with the form and gets the form back with their IDs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.unit.webapp.door import Browser, Door

SAME_SITE = {"Origin": "http://localhost"}
PLACE = "/submit/count-lines/files"


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path, {"max_upload_bytes": 2_000_000})


def sends(
    browser: Browser, *files: tuple[bytes, str], to: str = PLACE, field: str = "/file", **more: Any
) -> TestResponse:
    parts = [(f'name="{field}"; filename="{name}"\r\nContent-Type: text/plain', content) for content, name in files]
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in [*parts, ('name="/width"', b"7")]
    )
    options = {"headers": SAME_SITE} | more
    return browser.client.post(to, data=body + b"--b--\r\n", content_type="multipart/form-data; boundary=b", **options)


def ids(door: Door) -> list[str]:
    return sorted(str(key, "utf-8").removeprefix("wh:file:") for key in door.connection.scan_iter("wh:file:*"))


def test_the_form_is_shown_again_with_the_file_and_the_other_inputs(door: Door) -> None:
    page = sends(door.browser(), (b"abc" * 400_000, "a <b>.png"))

    (file_id,) = ids(door)
    assert page.status_code == 200
    assert f'value="{file_id}"' in page.text
    assert "a &lt;b&gt;.png has been uploaded" in page.text
    assert 'value="7"' in page.text
    file = door.client.files.find(file_id)
    assert (file.owner, file.size, file.filename) == ("alice", 1_200_000, "a <b>.png")


def test_new_files_are_added_to_those_already_uploaded(door: Door) -> None:
    page = sends(door.browser(), (b"a", "a.txt"), (b"b", "b.txt"), field="/more")

    found = re.search(r'name="/more"[^>]*>([^<]*)</textarea>', page.text)
    assert found is not None
    assert sorted(found[1].split()) == ids(door)


def test_a_form_without_a_file_stores_nothing(door: Door) -> None:
    assert sends(door.browser(), (b"", "")).status_code == 200
    assert ids(door) == []


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}], ids=str
)
def test_a_request_from_another_site_stores_nothing(door: Door, headers: dict[str, str]) -> None:
    assert sends(door.browser(), (b"a", "a.txt"), headers=headers).status_code == 403
    assert ids(door) == []


def test_an_upload_without_a_session_stores_nothing(door: Door) -> None:
    assert sends(Browser(door.anybody()), (b"a", "a.txt")).status_code == 401
    assert ids(door) == []


def test_a_body_over_the_limit_is_refused_with_a_page(door: Door) -> None:
    answer = sends(door.browser(), (b"a" * 5_000_000, "a.txt"))

    assert (answer.status_code, answer.mimetype) == (413, "text/html")
    assert ids(door) == []


def test_a_file_over_the_limit_in_a_body_within_it_is_refused_in_the_form(door: Door) -> None:
    page = sends(door.browser(), (b"a" * 2_000_001, "a <b>.txt"), (b"b", "b.txt"), field="/more")

    assert page.status_code == 413
    assert "a &lt;b&gt;.txt is over the limit of 2000000 bytes for a file (MAX_UPLOAD_BYTES)." in page.text
    assert "Nothing was submitted." in page.text and 'value="7"' in page.text
    assert ids(door) == []


def test_a_file_of_exactly_the_limit_is_stored(door: Door) -> None:
    page = sends(door.browser(), (b"a" * 2_000_000, "a.txt"))

    assert page.status_code == 200
    (file_id,) = ids(door)
    assert door.client.files.find(file_id).size == 2_000_000


def test_a_job_type_without_file_parameters_takes_no_upload(door: Door) -> None:
    assert sends(door.browser(), (b"a", "a.txt"), to="/submit/reverse-text/files").status_code == 200
    assert ids(door) == []
