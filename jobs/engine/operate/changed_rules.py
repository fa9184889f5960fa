"""Compare the limits and the unique key of a stored job with those that this code would give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.engine.broker.malformed import json_value, text, whole
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import WorkhorseError

#: The fields of a job's record that are compared.
RULE_FIELDS = ("user", "acts_for", "max_running", "limits", "unique", "unique_key")


def changed_rules(kind: JobType, params: Any, fields: Mapping[str, bytes | None]) -> Iterator[str]:
    """Yield `limits` and `unique` if the job has others than an equal new job would have. The parameters are valid."""
    known = {name: text(fields.get(name) or b"") for name in RULE_FIELDS}
    try:
        limits = kind.rules.limit_entries(params, known["acts_for"] or known["user"] or None)
        unique = _unique(kind, params, known)
    except (ValueError, WorkhorseError):
        return  # a reference stands for a value that is a key now
    if limits != json_value(known["limits"], []) or (kind.max_running or 0) != whole(fields.get("max_running")):
        yield "limits"
    if unique != known["unique"]:
        yield "unique"


def _unique(kind: JobType, params: Any, known: Mapping[str, str]) -> str:
    """Return the job's unique key, as it would be now; empty: none."""
    if known["unique"]:
        by_words = kind.rules.unique(params, known["user"], known["unique_key"])
        if by_words and by_words["key"] == known["unique"]:
            return known["unique"]
    rule = kind.rules.unique(params, known["user"], None)
    return str(rule["key"]) if rule else ""
