"""Type hints in both directions: to JSON Schema 2020-12, and between JSON and Python values.

`Parameters` is what a function takes, `ResultType` what it returns. Both are built once, when
the catalogue is; `Parameters.validate` is on the path of every submit.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import math
import sys
import typing
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json

from .errors import Fault, InvalidParameters, ResultInvalid, UnservableFunction

logger = logging.getLogger(__name__)

DIALECT = GenerateJsonSchema.schema_dialect

#: Where a schema keeps the models it refers to; an OpenAPI document keeps them elsewhere.
LOCAL_REFS = "#/$defs/{model}"

#: JSON that is nested deeper is refused: pydantic's own reader stops at 200.
MAX_DEPTH = 100

#: A body with more errors than this has its first ones listed.
MAX_FAULTS = 100

#: JSON's other readers keep numbers as doubles, where a larger one becomes infinite.
LARGEST_NUMBER = int(sys.float_info.max)

#: As many digits as only a larger number has, and how to find them in any text.
LONG_NUMBER = b"0" * len(str(LARGEST_NUMBER))
DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")

#: A pointer is sought among this many readings of an error's location.
MAX_READINGS = 64

#: What pydantic raises when a value can't be written as JSON.
UNWRITABLE = (PydanticSerializationError, ValueError, TypeError, RecursionError)

MISSING = frozenset(
    {"missing", "missing_argument", "missing_keyword_only_argument", "missing_positional_only_argument"}
)

Path = tuple[str | int, ...]


class Parameters:
    """What a function takes, as JSON Schema and as a check of submitted parameters.

    Raises:
        UnservableFunction: if a parameter can't be given as JSON, naming it and the fix.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        fields = {parameter.name: _field(function, parameter) for parameter in _signature(function).parameters.values()}
        # The model's own fields are arg0, arg1…: a parameter may be called `json`, `copy` or
        # `model_config`, which no field of a pydantic model can. Clients see the alias alone.
        model = _model(function, fields)
        self.names = tuple(fields)
        self._model = model
        self._validator = model.__pydantic_validator__
        self._by_name = [(f"arg{i}", p) for i, p in enumerate(_signature(function).parameters.values())]
        self.schema = {"$schema": DIALECT, **self.schema_with(LOCAL_REFS)}

    def schema_with(self, ref_template: str) -> dict[str, Any]:
        """Make the schema with references of another form, as in `#/components/schemas/{model}`."""
        schema = self._model.model_json_schema(ref_template=ref_template, schema_generator=_QuietSchema)
        del schema["title"]
        return schema

    def validate(self, body: object) -> None:
        """Check what a client sent, before anything is stored.

        Raises:
            InvalidParameters: with one fault for each error.
        """
        self._read(body)

    def bind(self, params: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Make the arguments of one call: fresh Python values, defaults filled in.

        Raises:
            InvalidParameters: as `validate` does.
        """
        values = self._read(params).__dict__
        args = tuple(values[field] for field, p in self._by_name if p.kind is not p.KEYWORD_ONLY)
        return args, {p.name: values[field] for field, p in self._by_name if p.kind is p.KEYWORD_ONLY}

    def _read(self, body: object) -> BaseModel:
        if type(body) is not dict:
            raise InvalidParameters([Fault("Input should be an object", "model_type", pointer="")])
        if fault := _oddity(body):
            raise InvalidParameters([fault])
        try:
            # As text, for pydantic takes JSON more leniently than Python values where a type is strict.
            model: BaseModel = self._validator.validate_json(to_json(body))
        except ValidationError as error:
            raise InvalidParameters(self._faults(error, body)) from None
        except Exception as error:
            # A validator of the author's that chokes on a value must not become a 500.
            logger.warning("The validation of %s failed with %r", self._model.__name__, error, exc_info=True)
            raise InvalidParameters([Fault("The parameters could not be checked", "unchecked", pointer="")]) from error
        return model

    def _faults(self, error: ValidationError, body: dict[str, Any]) -> list[Fault]:
        details = error.errors(include_url=False, include_context=False)
        faults = [self._fault(detail, body) for detail in details[:MAX_FAULTS]]
        if len(details) > MAX_FAULTS:
            faults.append(Fault(f"and {len(details) - MAX_FAULTS} more errors", "too_many_errors", pointer=""))
        return faults

    def _fault(self, detail: ErrorDetails, body: dict[str, Any]) -> Fault:
        message = _message(detail)
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            message = f"There is no such parameter{_did_you_mean(str(detail['loc'][0]), self.names)}"
        return Fault(message, detail["type"], pointer=_pointer(_path(detail, body)))


class ResultType:
    """What a function returns, as JSON Schema and as a check of the returned value.

    Raises:
        UnservableFunction: if the return hint can't be written as JSON.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        annotation = _signature(function).return_annotation
        hint = Any if annotation is inspect.Signature.empty else _resolve(function, "return", annotation)
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(hint)
            self.schema = {"$schema": DIALECT, **self.schema_with(LOCAL_REFS)}
        except PydanticUserError as error:
            raise _unservable(function, "the return value", hint, error) from error

    def schema_with(self, ref_template: str) -> dict[str, Any]:
        """Make the schema with references of another form, as in `#/components/schemas/{model}`."""
        return self._adapter.json_schema(ref_template=ref_template, mode="serialization", schema_generator=_QuietSchema)

    def dump(self, value: object) -> str:
        """Write a returned value as compact JSON.

        Raises:
            ResultInvalid: saying where the value doesn't fit, and what was expected there.
        """
        try:
            result = self._adapter.validate_python(value)
            text = self._adapter.dump_json(result, by_alias=True, warnings="error")
        except ValidationError as error:
            raise ResultInvalid(f"The result does not fit its return type: {_explain(error)}.") from None
        except UNWRITABLE as error:
            raise ResultInvalid(f"The result can't be written as JSON: {self._unwritable(value, error)}.") from error
        if _needs_a_look(text):
            self._refuse_odd_numbers(result)
        return text.decode()

    def _refuse_odd_numbers(self, result: object) -> None:
        for path, leaf in _leaves(self._adapter.dump_python(result, by_alias=True)):
            if isinstance(leaf, (int, float)) and not -LARGEST_NUMBER <= leaf <= LARGEST_NUMBER:
                got = f"{leaf}" if isinstance(leaf, float) else "one with too many digits"
                raise ResultInvalid(
                    f"The result can't be written as JSON: {_place(path)}: expected a finite number, got {got}."
                )

    def _unwritable(self, value: object, error: Exception) -> str:
        """Say which part of `value` can't be written, and why."""
        try:
            parts = self._adapter.dump_python(self._adapter.validate_python(value), by_alias=True, warnings=False)
            # Objects that changed after they were made are not checked again, but their parts are.
            self._adapter.validate_python(parts)
            for path, leaf in _leaves(parts):
                if reason := _why_unwritable(leaf):
                    return f"{_place(path)}: expected a JSON value, got {type(leaf).__name__} ({reason})"
        except ValidationError as misfit:
            return _explain(misfit)
        except UNWRITABLE:
            logger.debug("A result could not be taken apart", exc_info=True)
        return str(error)


class _QuietSchema(GenerateJsonSchema):
    """Leaves a default that is not JSON out of the schema without a warning."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        logger.debug("%s: %s", kind, detail)


# --- from a signature to a model ----------------------------------------------------


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _field(function: Callable[..., Any], parameter: inspect.Parameter) -> tuple[Any, FieldInfo]:
    """A pydantic field that clients know by the parameter's name."""
    where = f"{_name(function)}: parameter '{parameter.name}'"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise UnservableFunction(
            f"{where} is {stars}{parameter.name}, which has no schema; name each parameter, or take one list or dict."
        )
    if parameter.annotation is parameter.empty:
        raise UnservableFunction(f"{where} has no type hint; add one, as in '{parameter.name}: str'.")
    if isinstance(parameter.default, FieldInfo):
        raise UnservableFunction(
            f"{where} has Field(…) as its default, which a direct call would receive; "
            f"write '{parameter.name}: Annotated[…, Field(…)] = default'."
        )
    hint = _resolve(function, parameter.name, parameter.annotation)
    default = ... if parameter.default is parameter.empty else parameter.default
    return hint, Field(default, alias=parameter.name, validate_default=True)


def _resolve(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """The hint as an object: with postponed annotations it is text until now."""
    holder = type("Hint", (), {"__annotations__": {name: annotation}})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return typing.get_type_hints(holder, globalns=names, include_extras=True)[name]
    except Exception as error:
        what = "its return hint" if name == "return" else f"the hint of parameter '{name}'"
        raise UnservableFunction(
            f"{_name(function)}: {what}, {annotation!r}, can't be resolved ({error}); "
            "import it in its module, and not under TYPE_CHECKING."
        ) from error


def _model(function: Callable[..., Any], fields: dict[str, tuple[Any, FieldInfo]]) -> type[BaseModel]:
    try:
        return _checked_model(function.__name__, fields)
    except (PydanticUserError, ValidationError, NameError):
        # pydantic does not say which field it was: try them one by one.
        for name, field in fields.items():
            _check_parameter(function, name, field)
        raise


def _checked_model(title: str, fields: dict[str, tuple[Any, FieldInfo]]) -> type[BaseModel]:
    definitions: dict[str, Any] = {f"arg{i}": field for i, field in enumerate(fields.values())}
    model: type[BaseModel] = create_model(title, __config__=ConfigDict(extra="forbid"), **definitions)
    model.model_rebuild(raise_errors=True)
    model.model_json_schema(schema_generator=_QuietSchema)
    defaults = [field for field in fields.values() if not field[1].is_required()]
    if len(defaults) == len(fields):
        model()
    elif defaults:
        _checked_model(title, {name: field for name, field in fields.items() if not field[1].is_required()})
    return model


def _check_parameter(function: Callable[..., Any], name: str, field: tuple[Any, FieldInfo]) -> None:
    try:
        _checked_model(function.__name__, {name: field})
    except ValidationError as error:
        raise UnservableFunction(
            f"{_name(function)}: the default of parameter '{name}', {field[1].default!r}, does not fit its hint: "
            f"{_message(error.errors()[0])}; change the default or the hint, as in '{name}: int | None = None'."
        ) from error
    except (PydanticUserError, NameError) as error:
        raise _unservable(function, f"parameter '{name}'", field[0], error) from error


def _unservable(function: Callable[..., Any], what: str, hint: Any, error: Exception) -> UnservableFunction:
    reason = str(error).split("\n")[0].split(". ")[0].rstrip(".")  # pydantic's advice after it is not for job authors
    return UnservableFunction(
        f"{_name(function)}: {what} has the hint {inspect.formatannotation(hint)}, which can't be given as JSON "
        f"({reason}); use a type that pydantic can validate."
    )


# --- from a body to faults ------------------------------------------------------------


def _oddity(body: dict[Any, Any]) -> Fault | None:
    """The first thing in `body` that is no interoperable JSON: RFC 8259 leaves it to each reader."""
    pending: list[tuple[Any, Path]] = [(body, ())]
    while pending:
        parent, path = pending.pop()
        if len(path) >= MAX_DEPTH:
            return Fault(f"Input should be nested at most {MAX_DEPTH} levels deep", "too_deep", pointer=_pointer(path))
        if type(parent) is dict:
            for key in parent:
                if odd := _odd_value(key) if isinstance(key, str) else ("Names should be strings", "invalid_key"):
                    return Fault(odd[0], odd[1], pointer=_pointer(path))
        for name, value in parent.items() if type(parent) is dict else enumerate(parent):
            kind = type(value)
            if kind is dict or kind is list:
                pending.append((value, (*path, name)))
            elif odd := _odd_value(value):
                return Fault(odd[0], odd[1], pointer=_pointer((*path, name)))
    return None


def _odd_value(value: object) -> tuple[str, str] | None:
    """What is wrong with a value that has no parts, as a message and a code."""
    if type(value) is str:
        if "\0" in value:
            return "Text should not contain the character U+0000", "string_null"
        if not value.isascii() and not _is_unicode(value):
            return "Text should be valid Unicode, without lone surrogates", "string_unicode"
    elif type(value) is int:
        if not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            return "Number is too large", "number_too_large"
    elif type(value) is float:
        if not math.isfinite(value):
            return "Input should be a finite number", "finite_number"
    elif value is not None and type(value) is not bool:
        return f"Input should be a JSON value, not a Python {type(value).__name__}", "json_type"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _path(detail: ErrorDetails, body: dict[str, Any]) -> Path:
    """Where an error is in the body.

    pydantic's location also names branches of unions (`int`, a model, a tag), which are not in
    the body: of its readings, the one that leads to the value that pydantic refused is taken.
    """
    missing = detail["type"] in MISSING
    location = detail["loc"][:-1] if missing else detail["loc"]
    readings = list(islice(_readings(body, location), MAX_READINGS))
    path = next((path for path, value in readings if value == detail["input"]), readings[0][0])
    return (*path, detail["loc"][-1]) if missing else path


def _readings(value: Any, location: Path) -> Iterator[tuple[Path, Any]]:
    """The paths that `location` may stand for, and where they lead; the longest come first."""
    if not location:
        yield (), value
        return
    part, rest = location[0], location[1:]
    if _has(value, part):
        yield from (((part, *path), found) for path, found in _readings(value[part], rest))
    yield from _readings(value, rest)


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _message(detail: ErrorDetails) -> str:
    return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _did_you_mean(name: str, names: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name[:100], names, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _pointer(path: Path) -> str:
    """A JSON Pointer, escaped as RFC 6901 says."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


# --- from a result to an explanation -----------------------------------------------------


def _explain(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False)
    lines = [f"{_place(d['loc'])}: {_message(d)}, got {type(d['input']).__name__}" for d in details[:3]]
    return "; ".join(lines) + (f"; and {len(details) - 3} more" if len(details) > 3 else "")


def _place(path: Path) -> str:
    return _pointer(path) or "the result"


def _needs_a_look(text: bytes) -> bool:
    """Tell whether `text` may hold a number that other readers of JSON refuse.

    pydantic writes NaN and the infinities as null, unless a model's configuration says otherwise.
    """
    return any(word in text for word in (b"null", b"NaN", b"Infinity")) or LONG_NUMBER in text.translate(DIGITS_TO_0)


def _why_unwritable(leaf: object) -> str | None:
    try:
        to_json(leaf)
    except UNWRITABLE as reason:
        return str(reason)
    return None


def _leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every part of a dumped value that has no parts of its own."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, (*path, str(key)))
    elif isinstance(value, (list, tuple, set, frozenset)):
        for index, part in enumerate(value):
            yield from _leaves(part, (*path, index))
    else:
        yield path, value
