"""Turn errors into responses (RFC 9457). This is the only module that knows the HTTP status of an error."""

from __future__ import annotations

import json
import logging
import math
import re
import secrets
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as WrongMethod

from jobs.engine import errors
from jobs.engine.broker.connection import REFUSED
from jobs.engine.broker.trouble import BrokerTrouble
from jobs.engine.errors import WorkhorseError

log = logging.getLogger(__name__)
_trouble = BrokerTrouble("web")

#: A class includes its subclasses. Other errors are internal, and their messages are only logged.
STATUSES: dict[type[WorkhorseError], HTTPStatus] = {
    errors.MalformedRequest: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.MethodNotAllowed: HTTPStatus.METHOD_NOT_ALLOWED,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.RangeNotSatisfiable: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    errors.InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyActiveJobs: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TryAgainLater: HTTPStatus.SERVICE_UNAVAILABLE,
    WorkhorseError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

#: The errors of this project that stand for Werkzeug's.
_OURS: dict[int, type[WorkhorseError]] = {
    HTTPStatus.BAD_REQUEST: errors.MalformedRequest,
    HTTPStatus.UNAUTHORIZED: errors.Unauthenticated,
    HTTPStatus.FORBIDDEN: errors.Forbidden,
    HTTPStatus.NOT_FOUND: errors.NotFound,
    HTTPStatus.METHOD_NOT_ALLOWED: errors.MethodNotAllowed,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.PayloadTooLarge,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: errors.UnsupportedMediaType,
}


def install(app: Flask) -> None:
    """Return every error of `app` as application/problem+json."""
    app.register_error_handler(WorkhorseError, of_error)
    app.register_error_handler(HTTPException, _of_http_exception)
    app.register_error_handler(Exception, _of_surprise)


def status_of(error: WorkhorseError | type[WorkhorseError]) -> HTTPStatus:
    """Return the status of an error's class, or of its nearest base class that has one."""
    kind = error if isinstance(error, type) else type(error)
    return next(STATUSES[each] for each in kind.__mro__ if each in STATUSES)


def of_error(error: WorkhorseError) -> Response:
    """Return the response for an error of this project."""
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return _of_surprise(error)
    if isinstance(error.__cause__, REFUSED):
        _trouble.refused(error.__cause__)
    members: dict[str, Any] = {}
    if status is HTTPStatus.UNPROCESSABLE_ENTITY:
        members["errors"] = [fault.as_dict() for fault in _faults(error)]
    response = problem(status, error.code, error.message, **members)
    if isinstance(error, errors.TryAgainLater):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


def problem(status: HTTPStatus, code: str, detail: str, **members: Any) -> Response:
    """Return a problem document (RFC 9457) with `code` and further members."""
    document = {
        "type": f"urn:workhorse:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": int(status),
        "detail": detail,
        "instance": quote(request.path),
        "code": code,
        **members,
    }
    # In ASCII: a detail may quote invalid text from the client.
    response = Response(json.dumps(document) + "\n", status=int(status), content_type="application/problem+json")
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _faults(error: WorkhorseError) -> list[errors.Fault]:
    if isinstance(error, errors.InvalidRequest):
        return error.faults
    return [errors.Fault(error.message, error.code, parameter="Idempotency-Key")]


def _of_http_exception(error: HTTPException) -> Any:
    """Return the response for an error of Flask or Werkzeug. A redirect stays as it is."""
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    if error.code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _of_surprise(getattr(error, "original_exception", None) or error)
    if kind := _OURS.get(error.code):
        response = of_error(kind())
    else:
        status = HTTPStatus(error.code)
        response = problem(status, re.sub(r"\W", "_", status.phrase.lower()), status.description or status.phrase)
    if isinstance(error, WrongMethod) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _of_surprise(error: BaseException) -> Response:
    """Return a general message with a reference to the log, which has the details."""
    reference = secrets.token_hex(6)
    log.error("%s %s failed, reference %s", request.method, request.path, reference, exc_info=error)
    detail = f"An internal error occurred. The log has the details under the reference {reference}."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, WorkhorseError.code, detail)
