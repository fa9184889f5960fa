"""What a function takes: as JSON Schema, and as a check of submitted parameters.

It is built once, when the catalogue is; `validate` is on the path of every submit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from jobs.engine.errors import Fault, InvalidParameters
from jobs.engine.json_pointer import pointer
from jobs.engine.pydantic_errors import plain_errors

from .signatures import DIALECT, LOCAL_REFS, QuietSchema, field_of, model_of, signature_of
from .validation_faults import did_you_mean, oddity, path_of

logger = logging.getLogger(__name__)

#: A body with more errors than this has its first ones listed.
MAX_FAULTS = 100


class Parameters:
    """What a function takes, as JSON Schema and as a check of submitted parameters.

    Raises:
        UnservableFunction: if a parameter can't be given as JSON, naming it and the fix.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        parameters = signature_of(function).parameters
        fields = {name: field_of(function, parameter) for name, parameter in parameters.items()}
        # The model's own fields are arg0, arg1…: a parameter may be called `json`, `copy` or
        # `model_config`, which no field of a pydantic model can. Clients see the alias alone.
        model = model_of(function, fields)
        self.names = tuple(fields)
        self._model = model
        self._validator = model.__pydantic_validator__
        self._by_name = [(f"arg{i}", p) for i, p in enumerate(signature_of(function).parameters.values())]
        self.schema = {"$schema": DIALECT, **self.schema_with(LOCAL_REFS)}

    def schema_with(self, ref_template: str) -> dict[str, Any]:
        """Make the schema with references of another form, as in `#/components/schemas/{model}`."""
        schema = self._model.model_json_schema(ref_template=ref_template, schema_generator=QuietSchema)
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
        if fault := oddity(body):
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
        details = plain_errors(error)
        faults = [self._fault(detail, body) for detail in details[:MAX_FAULTS]]
        if len(details) > MAX_FAULTS:
            faults.append(Fault(f"and {len(details) - MAX_FAULTS} more errors", "too_many_errors", pointer=""))
        return faults

    def _fault(self, detail: ErrorDetails, body: dict[str, Any]) -> Fault:
        message = detail["msg"]
        if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
            message = f"There is no such parameter{did_you_mean(str(detail['loc'][0]), self.names)}"
        return Fault(message, detail["type"], pointer=pointer(path_of(detail, body)))
