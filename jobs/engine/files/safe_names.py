"""Safe filenames and content types, made from what a client or a job sent."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from pathlib import PurePosixPath

FILENAME_BYTES = 255
OCTETS = "application/octet-stream"

_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")


def safe_filename(name: str) -> str:
    """Return a filename without folders and invisible characters, of at most 255 bytes."""
    last = re.split(r"[/\\]", name.encode("utf-8", "replace").decode())[-1]
    visible = "".join(each for each in last if unicodedata.category(each)[0] != "C").strip().lstrip(".")
    stem, suffix = PurePosixPath(visible).stem, PurePosixPath(visible).suffix[:20]
    kept = stem.encode()[: FILENAME_BYTES - len(suffix.encode())].decode("utf-8", "ignore")
    return kept + suffix or "file"


def safe_content_type(content_type: str | None, filename: str) -> str:
    """Return the given type without its parameters, or else the type that the filename suggests."""
    given = (content_type or "").partition(";")[0].strip().lower()
    if given in ("", OCTETS):
        given = mimetypes.guess_type(filename)[0] or OCTETS
    return given if _TYPE.fullmatch(given) else OCTETS
