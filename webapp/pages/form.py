"""A job type's form: fill it in, read parameters from it, and place errors beside its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from jobs.engine.errors import Fault
from jobs.engine.json_pointer import parts

from .fields import Field, is_number

_OMITTED = object()
_WHOLE = re.compile(r"[+-]?[0-9]{1,300}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,3})?")

Sent = Mapping[str, str]


class Form:
    """Fields with their texts and errors."""

    def __init__(self, fields: Iterable[Field], texts: Sent) -> None:
        self.fields = tuple(fields)
        self._texts = texts
        self._errors: dict[str, list[str]] = {}
        #: The errors that belong to no field.
        self.errors: list[str] = []

    @classmethod
    def showing(cls, fields: Iterable[Field], params: Any) -> Form:
        """Return a form that is filled in with parameters, and with defaults for the others."""
        fields = tuple(fields)
        texts: dict[str, str] = {}
        for field in (each for top in fields for each in top.walk()):
            found = _found(params, field.pointer)
            texts[field.pointer] = _text(field, field.default if found is _OMITTED else found)
        return cls(fields, texts)

    def text(self, field: Field) -> str:
        return self._texts.get(field.pointer, "")

    def errors_of(self, field: Field) -> list[str]:
        return self._errors.get(field.pointer, [])

    @property
    def has_errors(self) -> bool:
        return bool(self.errors or self._errors)

    def params(self) -> dict[str, Any]:
        """Return the parameters that were entered. A text that can't be read becomes an error of its field."""
        return self._values(self.fields)

    def _values(self, fields: Iterable[Field]) -> dict[str, Any]:
        read = {field.name: self._value(field) for field in fields}
        return {name: value for name, value in read.items() if value is not _OMITTED}

    def _value(self, field: Field) -> Any:
        if field.kind == "group":
            values = self._values(field.children)
            return values if values or field.required else _OMITTED
        # Browsers send \r\n at the end of a line.
        text = self.text(field).replace("\r\n", "\n")
        if not text.strip():
            return _empty(field)
        match field.kind:
            case "number":
                return _number(text.strip())
            case "yes_no":
                return text == "true"
            case "choice":
                return next((each for each in field.choices if str(each) == text), text)
            case "lines" | "files":
                return _lines(field, text)
            case "file" | "text":
                return text.strip()
            case "json":
                return self._json(field, text)
        return text

    def _json(self, field: Field, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            # The parser's message gives the position and does not quote the text.
            self._errors.setdefault(field.pointer, []).append(f"This is not valid JSON: {error}.")
            return _OMITTED

    def blame(self, faults: Iterable[Fault]) -> None:
        """Add each fault to its field, or to the nearest field around it."""
        pointers = {each.pointer: each for top in self.fields for each in top.walk() if each.kind != "group"}
        for fault in faults:
            place = fault.pointer if fault.pointer is not None else f"?{fault.parameter}"
            rest = []
            while place and place not in pointers:
                place, _, step = place.rpartition("/")
                rest.append(step)
            if place in self._errors and rest == []:
                continue  # an unreadable value is also missing: one error is enough
            where = _where(pointers[place], rest[::-1]) if place else ""
            if place:
                self._errors.setdefault(place, []).append(where + fault.message)
            else:
                self.errors.append(f"{fault.pointer or fault.parameter}: {fault.message}".lstrip(": "))


def _where(field: Field, steps: list[str]) -> str:
    if not steps:
        return ""
    if field.kind in ("lines", "files") and steps[0].isdigit():
        return f"Line {int(steps[0]) + 1}: "
    return f"At {'/'.join(steps)}: "


def _empty(field: Field) -> Any:
    if isinstance(field.default, str) and field.default and not field.nullable:
        return ""  # the user removed the default
    if field.default is not None and field.nullable:
        return None
    return [] if field.kind in ("lines", "files") and field.default else _OMITTED


def _number(text: str) -> Any:
    """Return a number, or the text if it is not one, for the schema to refuse."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _lines(field: Field, text: str) -> list[Any]:
    lines = [line for line in text.split("\n") if line.strip()]
    return [_number(line.strip()) for line in lines] if is_number(field.items) else lines


def _found(params: Any, pointer: str) -> Any:
    for name in parts(pointer):
        if not isinstance(params, dict) or name not in params:
            return _OMITTED
        params = params[name]
    return params


def _text(field: Field, value: Any) -> str:
    if value is None or field.kind == "group":
        return ""
    if field.kind == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    if field.kind in ("lines", "files") and isinstance(value, list):
        return "\n".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
