"""Every error of this project, in one hierarchy.

Each class has a stable `code` that clients and scripts may branch on. Its docstring is its default message, which
the person who caused the error reads: what happened, and what to do. `webapp.problems` knows the HTTP statuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

#: The longest delay of RetryLater, and of a submission.
MAX_LATER_SECONDS = 31_536_000

#: The most faults of one request that are listed.
MAX_FAULTS = 100


class WorkhorseError(Exception):
    """An internal error occurred; see the log for the details."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__ or self.code)

    @property
    def message(self) -> str:
        return str(self.args[0])


class ConfigurationError(WorkhorseError):
    """A setting has an invalid value; the message names each one."""

    code = "configuration"


class UnservableFunction(WorkhorseError):
    """A job function has a signature that can't be served over HTTP."""

    code = "unservable_function"


class BrokerNotFound(WorkhorseError):
    """No broker is configured and no server program was found; set REDIS_URL."""

    code = "broker_not_found"


class CannotStart(WorkhorseError):
    """The program can't start; the message says why, and what to change."""

    code = "cannot_start"


class Unauthenticated(WorkhorseError):
    """Send an API key or a token as 'Authorization: Bearer …'."""

    code = "unauthenticated"


class Forbidden(WorkhorseError):
    """This belongs to another user, or needs a role that you do not have."""

    code = "forbidden"


class NotFound(WorkhorseError):
    """Nothing was found at this address."""

    code = "not_found"


class JobNotFound(NotFound):
    """The job does not exist; it may have expired."""

    code = "job_not_found"


class JobTypeNotFound(NotFound):
    """The job type does not exist; GET /api/v1/job-types lists them."""

    code = "job_type_not_found"


class UserNotFound(NotFound):
    """The user does not exist."""

    code = "user_not_found"


class ApiKeyNotFound(NotFound):
    """The API key does not exist."""

    code = "api_key_not_found"


class BlobNotFound(NotFound):
    """Nothing is stored under this name."""

    code = "blob_not_found"


class StoredFileNotFound(NotFound):
    """The file does not exist; it may have expired."""

    code = "file_not_found"


class WebhookNotFound(NotFound):
    """The webhook does not exist."""

    code = "webhook_not_found"


class GroupNotFound(NotFound):
    """The batch or pipeline does not exist; it may have expired."""

    code = "group_not_found"


class ScheduleNotFound(NotFound):
    """The schedule does not exist."""

    code = "schedule_not_found"


class QueueNotFound(NotFound):
    """The queue does not exist."""

    code = "queue_not_found"


class WorkerNotFound(NotFound):
    """The worker does not exist; it may have ended."""

    code = "worker_not_found"


class MethodNotAllowed(WorkhorseError):
    """This address does not support this method."""

    code = "method_not_allowed"


class MalformedRequest(WorkhorseError):
    """The request can't be read: its body is not JSON, or a header is malformed."""

    code = "malformed_request"


class PayloadTooLarge(WorkhorseError):
    """The body is too large."""

    code = "payload_too_large"


class RangeNotSatisfiable(WorkhorseError):
    """The file has no bytes in the requested range."""

    code = "range_not_satisfiable"


class UnsupportedMediaType(WorkhorseError):
    """Send the body as application/json."""

    code = "unsupported_media_type"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a request.

    Exactly one of `pointer` (a JSON Pointer into the body, RFC 6901) and `parameter`
    (the name of a query parameter or header) is set.
    """

    message: str
    code: str
    pointer: str | None = None
    parameter: str | None = None

    def as_dict(self) -> dict[str, str]:
        fields = {"pointer": self.pointer, "parameter": self.parameter, "message": self.message, "code": self.code}
        return {name: value for name, value in fields.items() if value is not None}


class InvalidRequest(WorkhorseError):
    """The request is not valid; `errors` says where."""

    code = "invalid_request"

    def __init__(self, faults: list[Fault], message: str | None = None) -> None:
        super().__init__(message or "; ".join(f"{f.pointer or f.parameter or 'body'}: {f.message}" for f in faults[:3]))
        self.faults = faults


def listed(faults: list[Fault], total: int) -> list[Fault]:
    """Return the first `MAX_FAULTS` faults, and one that counts the others of `total`."""
    if total <= MAX_FAULTS:
        return faults
    return [*faults[:MAX_FAULTS], Fault(f"and {total - MAX_FAULTS} more errors", "too_many_errors", pointer="")]


class InvalidParameters(InvalidRequest):
    """The parameters are not valid for this job type; `errors` says where."""

    code = "invalid_parameters"


class IdempotencyKeyReused(WorkhorseError):
    """This Idempotency-Key was used before with a different request; use a new key."""

    code = "idempotency_key_reused"


class Conflict(WorkhorseError):
    """This can't be done in the current state."""

    code = "conflict"


class DuplicateJob(Conflict):
    """Another job has the same unique key; wait until it has ended, or cancel it."""

    code = "duplicate_job"


class JobEnded(Conflict):
    """The job has already ended."""

    code = "job_ended"


class GroupEnded(Conflict):
    """All jobs of the batch or pipeline have already ended."""

    code = "group_ended"


class TooManySchedules(Conflict):
    """You have reached your limit of schedules; delete some first."""

    code = "too_many_schedules"


class JobNotEnded(Conflict):
    """Only a failed or cancelled job can be retried."""

    code = "job_not_retryable"


class UserExists(Conflict):
    """This username or e-mail address is already taken."""

    code = "user_exists"


class TryAgainLater(WorkhorseError):
    """This can't be done now; try again later."""

    code = "try_again_later"

    def __init__(self, message: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(TryAgainLater):
    """You have sent too many requests; try again later."""

    code = "rate_limited"


class TooManyActiveJobs(TryAgainLater):
    """You have reached your limit of unfinished jobs; wait for some to end."""

    code = "too_many_active_jobs"


class BrokerUnavailable(TryAgainLater):
    """The broker can't be reached; try again shortly."""

    code = "broker_unavailable"


class TooManyStreams(TryAgainLater):
    """The server has reached its limit of open streams; poll instead, or try again shortly."""

    code = "too_many_streams"


class StorageUnavailable(TryAgainLater):
    """The file storage can't be reached, or is full; try again shortly."""

    code = "storage_unavailable"


class Fatal(WorkhorseError):
    """Raise this in a job to fail at once, without a retry. The message is shown to the client."""

    code = "fatal"


class RetryLater(WorkhorseError):
    """Raise this in a job to run it again in `seconds`, at most a year, without using up an attempt."""

    code = "retry_later"

    def __init__(self, seconds: float, message: str | None = None) -> None:
        if not seconds <= MAX_LATER_SECONDS:  # NaN is not, either
            raise ValueError(f"RetryLater({seconds!r}): expected seconds, at most a year")
        super().__init__(message or f"It runs again in {seconds:g} s.")
        self.seconds = seconds


class AddressRefused(Fatal):
    """This address can't be fetched: it is private, or not a plain http or https address."""

    code = "address_refused"


class ResponseTooLarge(Fatal):
    """The response is too large."""

    code = "response_too_large"


class ReferenceUnresolved(WorkhorseError):
    """A step of a pipeline refers to a missing part of a result."""

    code = "reference_unresolved"


class FetchFailed(WorkhorseError):
    """The server could not be reached, or did not respond in time; try again later."""

    code = "fetch_failed"


class JobTimeout(WorkhorseError, TimeoutError):
    """The attempt took longer than its timeout."""

    code = "timeout"


class ResultInvalid(WorkhorseError):
    """The function returned a value that does not match its return type."""

    code = "result_invalid"


class ResultTooLarge(WorkhorseError):
    """The result is larger than MAX_RESULT_BYTES; save it as a file and return the file."""

    code = "result_too_large"
