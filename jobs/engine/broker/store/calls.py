"""Read the field `data` of a job: the call of its function, as RQ writes it."""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple


class Call(NamedTuple):
    func_name: Any
    #: The object whose method is called; None for a function.
    instance: Any
    args: Any
    kwargs: Any


def read_call(data: bytes) -> Call:
    """Read a call. It is never unpickled, and its parts may be anything that JSON can be.

    Raises:
        ValueError, TypeError or RecursionError: it is not a call in JSON.
    """
    # Ours is stored as it is, a list in JSON. RQ compresses the data of each job that it saves, of ours too (rq/job.py
    # 2.12.0, to_dict), and reads both forms.
    if data[:1] != b"[":
        try:
            data = zlib.decompress(data)
        except zlib.error:
            pass
    # Decoded here: `json.loads` first looks for the encoding of bytes.
    return Call(*json.loads(data.decode()))
