"""What pydantic found wrong with a value, in the words that a user is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

#: What pydantic puts before the message of an exception that a validator raised.
_PREFIXES = ("Value error, ", "Assertion failed, ")


def plain_errors(error: ValidationError) -> list[ErrorDetails]:
    """List pydantic's errors without its links and contexts, and each message as the validator wrote it."""
    details = error.errors(include_url=False, include_context=False)
    for detail in details:
        for prefix in _PREFIXES:
            detail["msg"] = detail["msg"].removeprefix(prefix)
    return details
