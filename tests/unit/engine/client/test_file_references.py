from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from jobs.engine import File
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.client.file_references import file_references
from jobs.engine.files.permission import FileReference


class Album(BaseModel):
    cover: File
    pages: dict[str, list[File]] = {}


@dataclass
class Box:
    file: File | None = None


def takes_files(
    first: File,
    more: list[File] | None = None,
    album: Album | None = None,
    box: Box | None = None,
    note: str | File = "",
) -> None: ...


def test_files_are_found_anywhere_in_the_parameters():
    a, b, c, d, e = (letter * 32 for letter in "abcde")
    params = {
        "first": a,
        "more": [b, a],
        "album": {"cover": c, "pages": {"x/y": [d]}},
        "box": {"file": e},
        "note": "f" * 32,
    }
    assert file_references(Parameters(takes_files), params) == [
        FileReference("/first", a),
        FileReference("/more/0", b),
        FileReference("/album/cover", c),
        FileReference("/album/pages/x~1y/0", d),
        FileReference("/box/file", e),
    ]
