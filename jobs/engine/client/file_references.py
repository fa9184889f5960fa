"""Which values of a job's parameters are files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from jobs.engine.author.file_parameters import FORMAT, File
from jobs.engine.catalogue.parameters import Parameters
from jobs.engine.files.files import FileReference


def file_references(parameters: Parameters, params: dict[str, Any]) -> list[FileReference]:
    """Every file that valid `params` name, once, and where.

    Raises:
        InvalidParameters: they are not valid.
    """
    if not _takes_files(parameters):
        return []
    args, kwargs = parameters.bind(params)
    named = {file.file_id for file in _files((args, kwargs)) if file.file_id}
    first: dict[str, str] = {}
    for pointer, text in _texts(params, ""):
        if text in named:
            first.setdefault(text, pointer)
    return [FileReference(pointer, file_id) for file_id, pointer in first.items()]


@lru_cache(maxsize=1_000)
def _takes_files(parameters: Parameters) -> bool:
    return f'"{FORMAT}"' in json.dumps(parameters.schema)


def _files(value: object) -> Iterator[File]:
    """The files in the validated values: there, and only there, every union is decided."""
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


def _texts(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for position, part in enumerate(value):
            yield from _texts(part, f"{pointer}/{position}")
