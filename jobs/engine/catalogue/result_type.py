"""The result of a function, as a JSON Schema and as a check of the returned value."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from jobs.engine.errors import ResultInvalid
from jobs.engine.json_pointer import Path, pointer
from jobs.engine.pydantic_errors import plain_errors

from .type_hints import DIALECT, LOCAL_REFS, QuietSchema, resolve_hint, signature_of, unservable
from .validation_faults import LARGEST_NUMBER

logger = logging.getLogger(__name__)

#: More digits than LARGEST_NUMBER has are found by turning all digits into zeros.
LONG_NUMBER = b"0" * len(str(LARGEST_NUMBER))
DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")

#: The errors that pydantic raises if a value can't be written as JSON.
UNWRITABLE = (PydanticSerializationError, ValueError, TypeError, RecursionError)


class ResultType:
    """The result type of a function.

    Raises:
        UnservableFunction: values of the return hint can't be written as JSON.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        annotation = signature_of(function).return_annotation
        hint = Any if annotation is inspect.Signature.empty else resolve_hint(function, "return", annotation)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(hint)
            self.schema = {"$schema": DIALECT, **self.schema_with(LOCAL_REFS)}
        except PydanticUserError as error:
            raise unservable(function, "the return value", hint, error) from error

    def schema_with(self, ref_template: str) -> dict[str, Any]:
        """Return the schema with another form of references, such as `#/components/schemas/{model}`."""
        return self._adapter.json_schema(ref_template=ref_template, mode="serialization", schema_generator=QuietSchema)

    def dump(self, value: object) -> str:
        """Return a result as compact JSON.

        Raises:
            ResultInvalid: the value does not match the return type; the message says where, and what was expected.
        """
        try:
            result = self._adapter.validate_python(value)
            text = self._adapter.dump_json(result, by_alias=True, warnings="error")
        except ValidationError as error:
            raise ResultInvalid(f"The result does not match its return type: {_explain(error)}.") from None
        except UNWRITABLE as error:
            raise ResultInvalid(f"The result can't be written as JSON: {self._unwritable(value, error)}.") from error
        if _may_have_bad_numbers(text):
            self._refuse_bad_numbers(result)
        return text.decode()

    def _refuse_bad_numbers(self, result: object) -> None:
        for path, leaf in _leaves(self._adapter.dump_python(result, by_alias=True)):
            if isinstance(leaf, (int, float)) and not -LARGEST_NUMBER <= leaf <= LARGEST_NUMBER:
                got = f"{leaf}" if isinstance(leaf, float) else "a number with too many digits"
                raise ResultInvalid(
                    f"The result can't be written as JSON: {_place(path)}: expected a finite number, got {got}."
                )

    def _unwritable(self, value: object, error: Exception) -> str:
        """Describe the part of `value` that can't be written, and the reason."""
        try:
            parts = self._adapter.dump_python(self._adapter.validate_python(value), by_alias=True, warnings=False)
            # pydantic does not check a changed object again, but it checks its parts.
            self._adapter.validate_python(parts)
            for path, leaf in _leaves(parts):
                if reason := _why_unwritable(leaf):
                    return f"{_place(path)}: expected a JSON value, got {type(leaf).__name__} ({reason})"
        except ValidationError as mismatch:
            return _explain(mismatch)
        except UNWRITABLE:
            logger.debug("The parts of a result could not be read", exc_info=True)
        return str(error)


def _explain(error: ValidationError) -> str:
    details = plain_errors(error)
    lines = [f"{_place(d['loc'])}: {d['msg']}, got {type(d['input']).__name__}" for d in details[:3]]
    return "; ".join(lines) + (f"; and {len(details) - 3} more" if len(details) > 3 else "")


def _place(path: Path) -> str:
    return pointer(path) or "the result"


def _may_have_bad_numbers(text: bytes) -> bool:
    """Return True if `text` may contain a number that other readers of JSON refuse.

    pydantic writes NaN and the infinities as null, unless a model is configured otherwise.
    """
    return any(word in text for word in (b"null", b"NaN", b"Infinity")) or LONG_NUMBER in text.translate(DIGITS_TO_0)


def _why_unwritable(leaf: object) -> str | None:
    try:
        to_json(leaf)
    except UNWRITABLE as reason:
        return str(reason)
    return None


def _leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield each part of a dumped value that has no parts of its own, with its path."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, str(key)))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, part in enumerate(value):
            yield from _leaves(part, (*path, index))
    else:
        yield path, value
