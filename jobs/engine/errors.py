"""Every error this project raises, in one hierarchy.

Each class has a stable `code`, the word that clients and scripts may branch on.
Messages are written for whoever caused them: what happened, with which value, and
what to do about it. HTTP statuses live in `webapp.problems` alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

#: What RetryLater may ask for, as a submission's `delay` may.
MAX_LATER_SECONDS = 31_536_000


class WorkhorseError(Exception):
    """Something went wrong inside; the log has the details."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__ or self.code)

    @property
    def message(self) -> str:
        return str(self.args[0])


# --- start-up -----------------------------------------------------------------


class ConfigurationError(WorkhorseError):
    """A setting has a value that can't be used; the message names each one."""

    code = "configuration"


class UnservableFunction(WorkhorseError):
    """A function in the catalogue has a signature that can't be served over HTTP."""

    code = "unservable_function"


class BrokerNotFound(WorkhorseError):
    """No broker is configured and no server program was found; set REDIS_URL."""

    code = "broker_not_found"


class CannotStart(WorkhorseError):
    """It can't be started here; the message says what is in the way and what to change."""

    code = "cannot_start"


# --- who is asking --------------------------------------------------------------


class Unauthenticated(WorkhorseError):
    """Send an API key or a token as 'Authorization: Bearer …'."""

    code = "unauthenticated"


class Forbidden(WorkhorseError):
    """This belongs to somebody else, or needs a role that you do not have."""

    code = "forbidden"


# --- what is asked for ------------------------------------------------------------


class NotFound(WorkhorseError):
    """There is no such thing."""

    code = "not_found"


class JobNotFound(NotFound):
    """There is no such job; it may have expired."""

    code = "job_not_found"


class JobTypeNotFound(NotFound):
    """There is no such job type; GET /api/v1/job-types lists them."""

    code = "job_type_not_found"


class UserNotFound(NotFound):
    """There is no such user."""

    code = "user_not_found"


class ApiKeyNotFound(NotFound):
    """There is no such API key."""

    code = "api_key_not_found"


class BlobNotFound(NotFound):
    """There is nothing stored under that name."""

    code = "blob_not_found"


class StoredFileNotFound(NotFound):
    """There is no such file; it may have expired."""

    code = "file_not_found"


class WebhookNotFound(NotFound):
    """There is no such webhook."""

    code = "webhook_not_found"


class GroupNotFound(NotFound):
    """There is no such batch or pipeline; it may have expired."""

    code = "group_not_found"


class ScheduleNotFound(NotFound):
    """There is no such schedule."""

    code = "schedule_not_found"


class MethodNotAllowed(WorkhorseError):
    """This address does not answer that method."""

    code = "method_not_allowed"


class MalformedRequest(WorkhorseError):
    """The request can't be read: its body is not JSON, or a header is malformed."""

    code = "malformed_request"


class PayloadTooLarge(WorkhorseError):
    """The body is over the limit."""

    code = "payload_too_large"


class RangeNotSatisfiable(WorkhorseError):
    """The file has no bytes in the range that was asked for."""

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
    """The request is well-formed but not valid; `errors` says where."""

    code = "invalid_request"

    def __init__(self, faults: list[Fault], message: str | None = None) -> None:
        super().__init__(message or "; ".join(f"{f.pointer or f.parameter or 'body'}: {f.message}" for f in faults[:3]))
        self.faults = faults


class InvalidParameters(InvalidRequest):
    """The parameters do not fit this job type; `errors` says where."""

    code = "invalid_parameters"


class IdempotencyKeyReused(WorkhorseError):
    """This Idempotency-Key was used before, with another request; use a new key."""

    code = "idempotency_key_reused"


# --- when it can't be done now ------------------------------------------------------


class Conflict(WorkhorseError):
    """It can't be done in this state."""

    code = "conflict"


class JobEnded(Conflict):
    """The job has already ended."""

    code = "job_ended"


class GroupEnded(Conflict):
    """All jobs of the batch or pipeline have already ended."""

    code = "group_ended"


class TooManySchedules(Conflict):
    """You have as many schedules as you may have; delete some."""

    code = "too_many_schedules"


class JobNotEnded(Conflict):
    """Only a failed or cancelled job can be retried."""

    code = "job_not_retryable"


class UserExists(Conflict):
    """That username or e-mail address is taken."""

    code = "user_exists"


class TryAgainLater(WorkhorseError):
    """It can't be done now; try again after `retry_after` seconds."""

    code = "try_again_later"

    def __init__(self, message: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimited(TryAgainLater):
    """Too many requests."""

    code = "rate_limited"


class TooManyActiveJobs(TryAgainLater):
    """You have as many unfinished jobs as you may have; wait for some to end."""

    code = "too_many_active_jobs"


class BrokerUnavailable(TryAgainLater):
    """The broker can't be reached; try again shortly."""

    code = "broker_unavailable"


class TooManyStreams(TryAgainLater):
    """This server holds as many open streams as it may; poll, or try again shortly."""

    code = "too_many_streams"


class StorageUnavailable(TryAgainLater):
    """The file storage can't be reached, or is full; try again shortly."""

    code = "storage_unavailable"


# --- inside an attempt ----------------------------------------------------------------


class Fatal(WorkhorseError):
    """Raise it in a job to fail at once, whatever its retry policy. The message is shown to the client."""

    code = "fatal"


class RetryLater(WorkhorseError):
    """Raise it in a job to come back in `seconds`, a year at most, whatever its retry policy, spending no attempt."""

    code = "retry_later"

    def __init__(self, seconds: float, message: str | None = None) -> None:
        if not seconds <= MAX_LATER_SECONDS:  # NaN is not, either
            raise ValueError(f"RetryLater({seconds!r}): expected seconds, a year at most")
        super().__init__(message or f"Comes back in {seconds:g} s.")
        self.seconds = seconds


class AddressRefused(Fatal):
    """This address can't be fetched: it is private, or not a plain http or https address."""

    code = "address_refused"


class ResponseTooLarge(Fatal):
    """The answer is larger than may be read."""

    code = "response_too_large"


class ReferenceUnresolved(WorkhorseError):
    """A step of a pipeline refers to a part of a result that is not there."""

    code = "reference_unresolved"


class FetchFailed(WorkhorseError):
    """The server could not be reached, or did not answer in time; trying again may help."""

    code = "fetch_failed"


class JobTimeout(WorkhorseError, TimeoutError):
    """The attempt took longer than its timeout."""

    code = "timeout"


class ResultInvalid(WorkhorseError):
    """The function returned something that does not fit its return type."""

    code = "result_invalid"


class ResultTooLarge(WorkhorseError):
    """The result is over MAX_RESULT_BYTES; save it as a file and return the file."""

    code = "result_too_large"
