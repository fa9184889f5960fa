"""References from a step's parameters to results of earlier steps: `{"$ref": "#/steps/0/result/file_id"}`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jobs.engine.errors import Fault, ReferenceUnresolved
from jobs.engine.json_pointer import Path, parts, pointer

KEY = "$ref"
#: The limit for the values of all references of a step together, written as JSON.
MAX_RESOLVED_CHARACTERS = 10_000_000

_FORM = re.compile(r"#/steps/(?P<step>0|[1-9][0-9]{0,5})/result(?P<rest>(/.*)?)", re.DOTALL)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
#: The codes of the fault that a name does not exist: in an object, and in a dataclass.
_UNKNOWN_NAME = frozenset({"extra_forbidden", "unexpected_keyword_argument"})


@dataclass(frozen=True)
class Reference:
    """A place in the parameters, and the part of a step's result whose value belongs there."""

    place: Path
    step: int
    #: The names and positions that lead to the part, within the result.
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"#/steps/{self.step}/result" + pointer(self.path)


def find_references(params: Any, step: int) -> tuple[list[Reference], list[Fault]]:
    """Return the references in the parameters of a step, and the faults of those that are not valid.

    The faults' pointers begin at the parameters.
    """
    found, faults = [], []
    for place, value in _places(params, ()):
        reference = _read(place, value)
        if reference is None:
            message = 'a reference has no other key, and reads "#/steps/0/result" or "#/steps/0/result/a/part/of/it"'
            faults.append(Fault(message, "bad_reference", pointer=pointer(place)))
        elif reference.step >= step:
            allowed = f"an earlier step, 0 to {step - 1}" if step else "no step, because it is the first one"
            message = f"refers to step {reference.step}; this step may refer to {allowed}"
            faults.append(Fault(message, "bad_reference", pointer=pointer((*place, KEY))))
        else:
            found.append(reference)
    return found, faults


class PendingPlaces:
    """The places of references in some parameters: their values are not known yet, so they can't be checked."""

    def __init__(self, references: Iterable[Reference]) -> None:
        self._places = {pointer(each.place) for each in references}
        self._parents: set[str] = set()
        for place in self._places:
            parent = _parent(place)
            while parent not in self._parents:
                self._parents.add(parent)
                parent = _parent(parent)

    def excuse(self, fault: Fault, in_union: bool) -> bool:
        """Return True if a fault of the parameters is about a value that is not known yet.

        Args:
            in_union: it is the fault of one branch of a union. Another branch may accept the value.
        """
        where = fault.pointer or ""
        if fault.code in _UNKNOWN_NAME and where in self._places and not in_union:
            return False  # no value is valid there
        # Unions and an author's validators look at a whole object, so they have seen the reference, not its value.
        undecided = fault.code.startswith("union_tag") or fault.code in ("value_error", "assertion_error")
        if undecided and where in self._parents:
            return True
        while where and where not in self._places:
            where = _parent(where)
        return where in self._places


def _parent(place: str) -> str:
    return place.rpartition("/")[0]


def resolve(params: Any, results: Mapping[int, Any]) -> Any:
    """Return the parameters with values in the place of references.

    The result of a step that is missing from `results` has expired.

    Raises:
        ReferenceUnresolved: a reference leads nowhere, or the values together are too large.
    """
    return _Resolver(results).resolve(params)


class _Resolver:
    """Adds up the sizes of values: many references of a few bytes each may name the same large result."""

    def __init__(self, results: Mapping[int, Any]) -> None:
        self._results = results
        self._values: dict[str, tuple[Any, int]] = {}
        self._left = MAX_RESOLVED_CHARACTERS

    def resolve(self, params: Any) -> Any:
        if isinstance(params, dict):
            if KEY in params and (reference := _read((), params)):
                return self._value(reference)
            return {name: self.resolve(part) for name, part in params.items()}
        if isinstance(params, list):
            return [self.resolve(part) for part in params]
        return params

    def _value(self, reference: Reference) -> Any:
        name = str(reference)
        if name not in self._values:
            value = _value(reference, self._results)
            self._values[name] = value, len(json.dumps(value, ensure_ascii=False))
        value, size = self._values[name]
        self._left -= size
        if self._left < 0:
            raise ReferenceUnresolved(
                f"The values of {name} and the references before it have more than "
                f"{MAX_RESOLVED_CHARACTERS:,} characters; refer to less, or save a large result as a file."
            )
        return value


def _places(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(value, dict):
        if KEY in value:
            yield path, value
            return
        for name, part in value.items():
            yield from _places(part, (*path, name))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _places(part, (*path, position))


def _read(place: Path, value: dict[str, Any]) -> Reference | None:
    text = value[KEY]
    match = _FORM.fullmatch(text) if isinstance(text, str) and len(value) == 1 else None
    return Reference(place, int(match["step"]), parts(match["rest"])) if match else None


def _value(reference: Reference, results: Mapping[int, Any]) -> Any:
    if reference.step not in results:
        raise ReferenceUnresolved(f"{reference} has no value: the result of step {reference.step} has expired.")
    value = results[reference.step]
    for depth, part in enumerate(reference.path):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            reached = f"#/steps/{reference.step}/result" + pointer(reference.path[:depth])
            raise ReferenceUnresolved(f"{reference} has no value: {reached} has no {part[:100]!r}; {_parts_of(value)}.")
    return value


def _parts_of(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "it has " + ", ".join(repr(name[:100]) for name in list(value)[:10])
    if isinstance(value, list):
        return f"it is a list of {len(value)}"
    return "it has no parts"
