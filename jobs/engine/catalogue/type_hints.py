"""Turn the type hints of a function into a pydantic model, or refuse them with the reason."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind

from jobs.engine.author.decorator import full_name_of
from jobs.engine.errors import UnservableFunction
from jobs.engine.pydantic_errors import plain_errors

from .typed_dicts import servable

logger = logging.getLogger(__name__)

DIALECT = GenerateJsonSchema.schema_dialect

#: The place of referenced models in a schema. An OpenAPI document has another one.
LOCAL_REFS = "#/$defs/{model}"


class QuietSchema(GenerateJsonSchema):
    """Logs no warning when it leaves a default that is not JSON out of the schema."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        logger.debug("%s: %s", kind, detail)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function."""
    return inspect.signature(function)


def field_of(function: Callable[..., Any], parameter: inspect.Parameter) -> tuple[Any, FieldInfo]:
    """Return the hint and the pydantic field of a parameter. Raises UnservableFunction."""
    where = f"{full_name_of(function)}: parameter '{parameter.name}'"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        raise UnservableFunction(
            f"{where} is {stars}{parameter.name}, which has no schema; name each parameter, or take one list or dict."
        )
    if parameter.annotation is parameter.empty:
        raise UnservableFunction(f"{where} has no type hint; add one, as in '{parameter.name}: str'.")
    if isinstance(parameter.default, FieldInfo):
        raise UnservableFunction(
            f"{where} has Field(…) as its default, which a direct call would get as the value; "
            f"write '{parameter.name}: Annotated[…, Field(…)] = default'."
        )
    hint = resolve_hint(function, parameter.name, parameter.annotation)
    default = ... if parameter.default is parameter.empty else parameter.default
    return hint, Field(default, alias=parameter.name, validate_default=True)


def resolve_hint(function: Callable[..., Any], name: str, annotation: Any) -> Any:
    """Return a hint as an object, since postponed annotations are text. Raises UnservableFunction."""
    holder = type("Hint", (), {"__annotations__": {name: annotation}})
    names = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return servable(typing.get_type_hints(holder, globalns=names, include_extras=True)[name])
    except Exception as error:
        what = "its return hint" if name == "return" else f"the hint of parameter '{name}'"
        raise UnservableFunction(
            f"{full_name_of(function)}: {what}, {annotation!r}, can't be resolved ({error}); "
            "import it in its module, and not under TYPE_CHECKING."
        ) from error


def model_of(function: Callable[..., Any], fields: dict[str, tuple[Any, FieldInfo]]) -> type[BaseModel]:
    """Build the model of a function's parameters. Raises UnservableFunction."""
    try:
        return _checked_model(function.__name__, fields)
    except (PydanticUserError, ValidationError, NameError):
        # pydantic does not name the field, so try the fields one by one.
        for name, field in fields.items():
            _check_parameter(function, name, field)
        raise


def _checked_model(title: str, fields: dict[str, tuple[Any, FieldInfo]]) -> type[BaseModel]:
    definitions: dict[str, Any] = {f"arg{i}": field for i, field in enumerate(fields.values())}
    model: type[BaseModel] = create_model(title, __config__=ConfigDict(extra="forbid"), **definitions)
    model.model_rebuild(raise_errors=True)
    model.model_json_schema(schema_generator=QuietSchema)
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
            f"{full_name_of(function)}: the default of parameter '{name}', {field[1].default!r}, "
            f"does not match its hint: {plain_errors(error)[0]['msg']}; "
            f"change the default or the hint, as in '{name}: int | None = None'."
        ) from error
    except (PydanticUserError, NameError) as error:
        raise unservable(function, f"parameter '{name}'", field[0], error) from error


def unservable(function: Callable[..., Any], what: str, hint: Any, error: Exception) -> UnservableFunction:
    """Return the refusal of a hint that pydantic can't use."""
    reason = str(error).split("\n")[0].split(". ")[0].rstrip(".")  # the rest is advice that does not help job authors
    return UnservableFunction(
        f"{full_name_of(function)}: {what} has the hint {inspect.formatannotation(hint)}, which can't be given as JSON "
        f"({reason}); use a type that pydantic can validate."
    )
