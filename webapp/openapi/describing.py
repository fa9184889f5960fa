"""Describe a route beside its view. The document is assembled from the routes of the app and these descriptions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from flask import Flask
from pydantic import BaseModel

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.settings import Settings

from .models import query_parameters
from .operation import ALWAYS, operation
from .schemas import TEXT, Schema, complete

View = TypeVar("View", bound=Callable[..., Any])

_NAME = "openapi_description"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

#: The descriptions of the variable parts of paths.
PATH_PARAMETERS = {
    "batch_id": "The id of the batch.",
    "file_id": "The id of the file.",
    "job_id": "The id of the job.",
    "job_type": "The name of the job type, for example `batch-predict`.",
    "key_id": "The id of the API key.",
    "queue_name": "The name of the queue, for example `high` or `default@gpu`.",
    "pipeline_id": "The id of the pipeline.",
    "schedule_id": "The id of the schedule.",
    "user_id": "The username, or `me`.",
    "webhook_id": "The id of the webhook.",
    "worker_name": "The name of the worker.",
}


@dataclass(frozen=True)
class Server:
    """The settings and the job types that some descriptions depend on."""

    catalogue: Catalogue
    settings: Settings


class Description(Protocol):
    def operations(self, path: str, server: Server) -> Iterator[tuple[str, Schema]]:
        """Yield the paths that the route stands for, each with the operation there."""


@dataclass(frozen=True)
class _Fixed:
    make: Callable[[], Schema]

    def operations(self, path: str, server: Server) -> Iterator[tuple[str, Schema]]:  # noqa: ARG002 (of the protocol)
        yield path, self.make()


@dataclass(frozen=True)
class _BySettings:
    make: Callable[[Settings], Schema]

    def operations(self, path: str, server: Server) -> Iterator[tuple[str, Schema]]:
        yield path, self.make(server.settings)


@dataclass(frozen=True)
class _ForEachJobType:
    make: Callable[[JobType, Settings], Schema]

    def operations(self, path: str, server: Server) -> Iterator[tuple[str, Schema]]:
        for job_type in server.catalogue.values():
            yield path.replace("{job_type}", job_type.name), self.make(job_type, server.settings)


def described(
    operation_id: str,
    tag: str,
    summary: str,
    responses: dict[str, Schema],
    *,
    description: str = "",
    query: type[BaseModel] | None = None,
    headers: tuple[Schema, ...] = (),
    body: Schema | None = None,
    refused: tuple[int, ...] = (),
    always: tuple[int, ...] = ALWAYS,
    security: list[dict[str, list[str]]] | None = None,
) -> Callable[[View], View]:
    """Describe a view as `operation` does. `query` is the model of its query, `headers` are those it reads."""
    return _attached(
        _Fixed(
            lambda: operation(
                operation_id,
                tag,
                summary,
                responses,
                description=description,
                parameters=(*(query_parameters(query) if query else ()), *headers),
                body=body,
                refused=refused,
                always=always,
                security=security,
            )
        )
    )


def described_by_settings(make: Callable[[Settings], Schema]) -> Callable[[View], View]:
    """Describe a view by the operation that `make` returns."""
    return _attached(_BySettings(make))


def described_for_each_job_type(make: Callable[[JobType, Settings], Schema]) -> Callable[[View], View]:
    """Describe a view as one operation for each job type, whose name takes the place of `job_type` in the path."""
    return _attached(_ForEachJobType(make))


def paths_of(app: Flask, server: Server) -> dict[str, dict[str, Schema]]:
    """Return the operations of all described views of `app`, by path and method."""
    paths: dict[str, dict[str, Schema]] = {}
    for rule in app.url_map.iter_rules():
        description: Description | None = vars(app.view_functions[rule.endpoint]).get(_NAME)
        if description is None:
            continue
        pattern = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for path, described_operation in description.operations(pattern, server):
            whole = _with_path_parameters(path, complete(described_operation))
            for method in sorted(set(_METHODS) & (rule.methods or set())):
                paths.setdefault(path, {})[method.lower()] = whole
    return paths


def _attached(description: Description) -> Callable[[View], View]:
    def attach(view: View) -> View:
        vars(view)[_NAME] = description
        return view

    return attach


def _with_path_parameters(path: str, described_operation: Schema) -> Schema:
    names = re.findall(r"{(\w+)}", path)
    if not names:
        return described_operation
    of_path = [
        {"name": name, "in": "path", "required": True, "schema": TEXT, "description": PATH_PARAMETERS[name]}
        for name in names
    ]
    return described_operation | {"parameters": [*of_path, *described_operation.get("parameters", [])]}
