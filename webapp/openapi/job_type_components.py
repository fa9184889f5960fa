"""The schemas of each job type: its parameters, its result, and its job resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType


def params_name(job_type: JobType) -> str:
    """Return the name of the schema of a job type's parameters."""
    return f"{job_type.name}.params"


def result_name(job_type: JobType) -> str:
    """Return the name of the schema of a job type's result."""
    return f"{job_type.name}.result"


def job_name(job_type: JobType) -> str:
    """Return the name of the schema of a job type's job resource."""
    return f"{job_type.name}.job"


def job_type_components(catalogue: Catalogue) -> dict[str, Any]:
    """Return the schemas of every job type, by name.

    A model is put under its job type and direction (`train-model.params.Config`): two job types
    may each have a `Config`, and one model reads differently as a parameter and as a result.
    """
    components: dict[str, Any] = {}
    for job_type in catalogue.values():
        components |= _with_models(params_name(job_type), job_type.parameters.schema_with)
        components |= _with_models(result_name(job_type), job_type.result.schema_with)
        components[job_name(job_type)] = _job(job_type)
    return components


def _with_models(name: str, schema_with: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    schema = schema_with(f"#/components/schemas/{name}.{{model}}")
    models = schema.pop("$defs", {})
    return {name: schema} | {f"{name}.{model}": definition for model, definition in models.items()}


def _job(job_type: JobType) -> dict[str, Any]:
    own = {
        "job_type": {"const": job_type.name},
        "params": {"$ref": f"#/components/schemas/{params_name(job_type)}"},
        "result": {"anyOf": [{"$ref": f"#/components/schemas/{result_name(job_type)}"}, {"type": "null"}]},
    }
    return {"allOf": [{"$ref": "#/components/schemas/Job"}, {"type": "object", "properties": own}]}
