"""How jobs run. What this module names is all that a job's author needs; the rest serves the engine.

Names that need an HTTP client, the broker or the storage are imported when a module first asks for them: what no job
uses is not there to be copied by every fork.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .authoring import job
from .errors import Fatal, FetchFailed, ResponseTooLarge, RetryLater, TryAgainLater
from .retry import Retry
from .run import cancelled, checkpoint, current_job, log, progress, track
from .settings import settings

if TYPE_CHECKING:
    from .file_parameters import File
    from .file_results import SavedFile, save_file
    from .outbound import Fetched, PublicUrl, fetch, http_client
    from .storage import blob_exists, read_blob, user_blob, user_document, user_path, write_blob
    from .users_jobs import own_jobs

_ON_DEMAND = {
    "File": "file_parameters",
    "SavedFile": "file_results",
    "save_file": "file_results",
    "Fetched": "outbound",
    "PublicUrl": "outbound",
    "fetch": "outbound",
    "http_client": "outbound",
    "own_jobs": "users_jobs",
    "blob_exists": "storage",
    "read_blob": "storage",
    "user_blob": "storage",
    "user_document": "storage",
    "user_path": "storage",
    "write_blob": "storage",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_DEMAND:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ON_DEMAND[name]}", __name__), name)


__all__ = [
    "Fatal",
    "FetchFailed",
    "Fetched",
    "File",
    "PublicUrl",
    "ResponseTooLarge",
    "Retry",
    "RetryLater",
    "SavedFile",
    "TryAgainLater",
    "blob_exists",
    "cancelled",
    "checkpoint",
    "current_job",
    "fetch",
    "http_client",
    "job",
    "log",
    "own_jobs",
    "progress",
    "read_blob",
    "save_file",
    "settings",
    "track",
    "user_blob",
    "user_document",
    "user_path",
    "write_blob",
]
