"""The parameters of a function, as a JSON Schema and as a check of submitted values.

They are built once, with the catalogue. `validate` runs for every submission.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from jobs.engine.errors import MAX_FAULTS, Fault, InvalidParameters, listed
from jobs.engine.json_pointer import pointer
from jobs.engine.pydantic_errors import plain_errors

from .type_hints import DIALECT, LOCAL_REFS, QuietSchema, field_of, model_of, signature_of
from .validation_faults import did_you_mean, is_in_union, not_interoperable, path_of

logger = logging.getLogger(__name__)

#: Called with a fault, and True if it is the fault of one branch of a union.
Excuse = Callable[[Fault, bool], bool]


class Parameters:
    """The parameters of a function.

    Raises:
        UnservableFunction: a parameter can't be sent as JSON; the message names it and the fix.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = signature_of(function).parameters
        fields = {name: field_of(function, parameter) for name, parameter in parameters.items()}
        # The fields of the model are called arg0, arg1…, since a parameter may have a name that a field can't have:
        # `json`, `copy` or `model_config`. Clients only see the alias.
        model = model_of(function, fields)
        self.names = tuple(fields)
        self._model = model
        self._validator = model.__pydantic_validator__
        self._by_name = [(f"arg{i}", p) for i, p in enumerate(signature_of(function).parameters.values())]
        self.schema = {"$schema": DIALECT, **self.schema_with(LOCAL_REFS)}

    def schema_with(self, ref_template: str) -> dict[str, Any]:
        """Return the schema with another form of references, such as `#/components/schemas/{model}`."""
        schema = self._model.model_json_schema(ref_template=ref_template, schema_generator=QuietSchema)
        del schema["title"]
        return schema

    def validate(self, body: object, excuse: Excuse | None = None) -> None:
        """Check the parameters that a client sent, except for the faults that `excuse` returns True for.

        Raises:
            InvalidParameters: with one fault for each error, or for the first `MAX_FAULTS`.
        """
        try:
            self._read(body)
        except ValidationError as error:
            if faults := self._faults(error, body, excuse):
                raise InvalidParameters(faults) from None

    def bind(self, params: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of one call: new Python values, with the defaults.

        Raises:
            InvalidParameters: as in `validate`.
        """
        try:
            values = self._read(params).__dict__
        except ValidationError as error:
            raise InvalidParameters(self._faults(error, params)) from None
        args = tuple(values[field] for field, p in self._by_name if p.kind is not p.KEYWORD_ONLY)
        return args, {p.name: values[field] for field, p in self._by_name if p.kind is p.KEYWORD_ONLY}

    def _read(self, body: object) -> BaseModel:
        if type(body) is not dict:
            raise InvalidParameters([Fault("Input should be an object", "model_type", pointer="")])
        if fault := not_interoperable(body):
            raise InvalidParameters([fault])
        try:
            # As text, since pydantic is less strict with JSON than with Python values.
            model: BaseModel = self._validator.validate_json(to_json(body))
        except ValidationError:
            raise
        except Exception as error:
            # An unexpected error in a custom validator must not become a 500.
            logger.warning("The validation of %s failed with %r", self._model.__name__, error, exc_info=True)
            raise InvalidParameters([Fault("The parameters could not be checked", "unchecked", pointer="")]) from error
        return model

    def _faults(self, error: ValidationError, body: Any, excuse: Excuse | None = None) -> list[Fault]:
        details = plain_errors(error)
        if excuse:
            # Before the list is cut, so that excused errors hide no other.
            details = [each for each in details if not excuse(self._fault(each, body), is_in_union(each, body))]
        return listed([self._fault(detail, body) for detail in details[:MAX_FAULTS]], len(details))

    def _fault(self, detail: ErrorDetails, body: dict[str, Any]) -> Fault:
        message = detail["msg"]
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            message = f"This parameter does not exist{did_you_mean(str(detail['loc'][0]), self.names)}"
        return Fault(message, detail["type"], pointer=pointer(path_of(detail, body)))
