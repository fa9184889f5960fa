"""Find the files that a job's parameters name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from jobs.engine.author.file_parameters import FORMAT, File
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.files.permission import FileReference
from jobs.engine.json_pointer import Path, pointer


def file_references(parameters: Parameters, params: dict[str, Any]) -> list[FileReference]:
    """Return each file that valid `params` name, once, with its first place.

    Raises:
        InvalidParameters: `params` are not valid.
    """
    if not _takes_files(parameters):
        return []
    args, kwargs = parameters.bind(params)
    named = {file.file_id for file in _files((args, kwargs)) if file.file_id}
    first: dict[str, str] = {}
    for path, text in _texts(params, ()):
        if text in named:
            first.setdefault(text, pointer(path))
    return [FileReference(place, file_id) for file_id, place in first.items()]


@lru_cache(maxsize=1_000)
def _takes_files(parameters: Parameters) -> bool:
    return f'"{FORMAT}"' in json.dumps(parameters.schema)


def _files(value: object) -> Iterator[File]:
    """Yield the files in validated values: only validation decides every union."""
    if isinstance(value, File):
        yield value
    elif isinstance(value, Mapping):
        yield from _files(tuple(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _files(part)
    elif isinstance(value, BaseModel):
        yield from _files([part for _, part in value])
    elif is_dataclass(value):
        yield from _files([getattr(value, field.name) for field in fields(value)])


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, (*path, name))
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _texts(part, (*path, position))
