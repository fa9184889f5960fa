"""`{"$ref": "#/steps/0/result/file_id"}`: where a step's parameters stand for a part of an earlier step's result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.engine.errors import Fault, ReferenceUnresolved

KEY = "$ref"
#: Of what all references of a step stand for together, written as JSON.
MAX_RESOLVED_CHARACTERS = 10_000_000

_FORM = re.compile(r"#/steps/(?P<step>0|[1-9][0-9]{0,5})/result(?P<rest>(/.*)?)", re.DOTALL)
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Reference:
    """The place in the parameters, the step whose result is meant, and the way into that result."""

    path: Path
    step: int
    way: tuple[str, ...]

    def __str__(self) -> str:
        return f"#/steps/{self.step}/result" + pointer(self.way)


def find_references(params: Any, step: int) -> tuple[list[Reference], list[Fault]]:
    """What the parameters of a step refer to, and what is wrong with it; pointers begin at the parameters."""
    found, faults = [], []
    for path, value in _places(params, ()):
        reference = _read(path, value)
        if reference is None:
            message = 'a reference stands alone and reads "#/steps/0/result" or "#/steps/0/result/a/part/of/it"'
            faults.append(Fault(message, "bad_reference", pointer=pointer(path)))
        elif reference.step >= step:
            which = f"an earlier step: 0 to {step - 1}" if step else "no step: the first one has none before it"
            message = f"refers to step {reference.step}, and may refer to {which}"
            faults.append(Fault(message, "bad_reference", pointer=pointer((*path, KEY))))
        else:
            found.append(reference)
    return found, faults


def excuses(references: Sequence[Reference], fault: Fault) -> bool:
    """Whether a fault of the parameters is about a place whose value is not known yet."""
    where = fault.pointer or ""
    for reference in references:
        place = pointer(reference.path)
        if where == place or where.startswith(place + "/"):
            return True
        # A union is decided, and an author's validator called, for a whole object: what it saw was the reference.
        undecided = fault.code.startswith("union_tag") or fault.code in ("value_error", "assertion_error")
        if undecided and place.startswith(where + "/"):
            return True
    return False


def resolved(params: Any, results: Mapping[int, Any]) -> Any:
    """The parameters with values in the place of references. A step that is not in `results` has no result any more.

    Raises:
        ReferenceUnresolved: naming the reference, and how far it leads; or they stand for too much together.
    """
    return _Resolver(results).resolved(params)


class _Resolver:
    """Counts what references stand for: a few bytes each, they may all name the same large result."""

    def __init__(self, results: Mapping[int, Any]) -> None:
        self._results = results
        self._values: dict[str, tuple[Any, int]] = {}
        self._left = MAX_RESOLVED_CHARACTERS

    def resolved(self, params: Any) -> Any:
        if isinstance(params, dict):
            if KEY in params and (reference := _read((), params)):
                return self._value(reference)
            return {name: self.resolved(part) for name, part in params.items()}
        if isinstance(params, list):
            return [self.resolved(part) for part in params]
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
                f"{name} and the references before it stand for more than {MAX_RESOLVED_CHARACTERS:,} characters; "
                "refer to less, or save a large result as a file."
            )
        return value


def pointer(path: Sequence[str | int]) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


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


def _read(path: Path, value: dict[str, Any]) -> Reference | None:
    text = value[KEY]
    match = _FORM.fullmatch(text) if isinstance(text, str) and len(value) == 1 else None
    if match is None:
        return None
    way = tuple(part.replace("~1", "/").replace("~0", "~") for part in match["rest"].split("/")[1:])
    return Reference(path, int(match["step"]), way)


def _value(reference: Reference, results: Mapping[int, Any]) -> Any:
    if reference.step not in results:
        raise ReferenceUnresolved(f"{reference} stands for a result that is gone: step {reference.step}'s has expired.")
    value = results[reference.step]
    for depth, part in enumerate(reference.way):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            reached = f"#/steps/{reference.step}/result" + pointer(reference.way[:depth])
            raise ReferenceUnresolved(f"{reference} leads nowhere: {reached} has no {part[:100]!r}; {_parts(value)}.")
    return value


def _parts(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "it has " + ", ".join(repr(name[:100]) for name in list(value)[:10])
    if isinstance(value, list):
        return f"it is a list of {len(value)}"
    return "it has no parts"
