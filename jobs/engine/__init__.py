"""How jobs run. What this module names is all that a job's author needs; the rest serves the engine."""

from .catalogue import job
from .errors import Fatal, FetchFailed, ResponseTooLarge, RetryLater, TryAgainLater
from .outbound import Fetched, PublicUrl, fetch, http_client
from .retry import Retry
from .run import cancelled, checkpoint, current_job, log, progress, track
from .settings import settings
from .storage import blob_exists, read_blob, user_document, user_path, write_blob

__all__ = [
    "Fatal",
    "FetchFailed",
    "Fetched",
    "PublicUrl",
    "ResponseTooLarge",
    "Retry",
    "RetryLater",
    "TryAgainLater",
    "blob_exists",
    "cancelled",
    "checkpoint",
    "current_job",
    "fetch",
    "http_client",
    "job",
    "log",
    "progress",
    "read_blob",
    "settings",
    "track",
    "user_document",
    "user_path",
    "write_blob",
]
