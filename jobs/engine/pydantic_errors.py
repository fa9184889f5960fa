"""The errors of pydantic, in the words that users read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

#: The prefixes that pydantic adds to the message of an exception in a validator.
_PREFIXES = ("Value error, ", "Assertion failed, ")


def plain_errors(error: ValidationError) -> list[ErrorDetails]:
    """List pydantic's errors without its links and contexts, and each message as the validator wrote it."""
    details = error.errors(include_url=False, include_context=False)
    for detail in details:
        for prefix in _PREFIXES:
            detail["msg"] = detail["msg"].removeprefix(prefix)
    return details
