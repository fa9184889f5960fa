"""The engine that runs jobs, and the names that a job's author needs.

Names that need an HTTP client, the broker or the storage are imported when a job module first uses them. So the forked
processes don't copy what no job uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .author.checkpoint import checkpoint
from .author.decorator import job
from .author.limit import Limit
from .author.progress import progress, track
from .author.retry import Retry
from .author.running import cancelled, current_job, log
from .author.unique import Unique
from .errors import Fatal, FetchFailed, ResponseTooLarge, RetryLater, TryAgainLater
from .settings import settings

if TYPE_CHECKING:
    from .author.blobs import blob_exists, read_blob, user_path, write_blob
    from .author.documents import user_blob, user_document
    from .author.file_parameters import File
    from .author.file_results import SavedFile, save_file
    from .author.http import Fetched, fetch, http_client
    from .author.public_addresses import PublicUrl
    from .client.own_jobs import own_jobs

_ON_DEMAND = {
    "File": "author.file_parameters",
    "SavedFile": "author.file_results",
    "save_file": "author.file_results",
    "Fetched": "author.http",
    "PublicUrl": "author.public_addresses",
    "fetch": "author.http",
    "http_client": "author.http",
    "own_jobs": "client.own_jobs",
    "blob_exists": "author.blobs",
    "read_blob": "author.blobs",
    "user_blob": "author.documents",
    "user_document": "author.documents",
    "user_path": "author.blobs",
    "write_blob": "author.blobs",
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
    "Limit",
    "PublicUrl",
    "ResponseTooLarge",
    "Retry",
    "RetryLater",
    "SavedFile",
    "TryAgainLater",
    "Unique",
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
