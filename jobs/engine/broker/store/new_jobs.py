"""Write new jobs as submit.lua reads them: records that are ready to be stored, without JSON around them."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

#: The parts of a description that decide what happens to the job.
_OPTIONS = ("delay", "due", "depends_on", "start_by", "start_within", "unique")


def new_record(description: dict[str, Any], data: bytes, shared: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a new job's record, without those that submit.lua adds."""
    fields = {
        "origin": description["queue"],
        "user": shared["user"],
        "type": description["type"],
        "description": description["type"],
        "timeout": description["timeout"],
        "attempts": description["max_attempts"],
        "result_ttl": description["result_ttl"],
        "failure_ttl": description["failure_ttl"],
        "data": data,
    }
    for name in ("webhook_url", "max_running", "limits", "acts_for"):
        if name in description:
            fields[name] = description[name]
    for name in ("references", "tags"):
        if name in description:
            fields[name] = to_json(description[name])
    if unique := description.get("unique"):
        fields |= {"unique": unique["key"], "unique_key": unique["shown"]}
        if unique.get("until_start"):
            fields["unique_until"] = "start"
        if "ttl_ms" in unique:
            fields["unique_ttl"] = unique["ttl_ms"]
    if "group" in shared:
        fields["group"] = shared["group"]
    if depends_on := description.get("depends_on"):
        fields |= {"dependency_ids": to_json(depends_on), "dependency_id": depends_on[0]}
    return fields


def arguments(description: dict[str, Any], record: dict[str, Any]) -> list[Any]:
    """Return the arguments of submit.lua for one job.

    They are its id, queue, type, webhook or '', options as JSON or '', how many names and values follow, and those.
    """
    options = {name: description[name] for name in _OPTIONS if name in description}
    values = [part for field in record.items() for part in field]
    head = (description["id"], description["queue"], description["type"], description.get("webhook_url", ""))
    return [*head, to_json(options) if options else b"", len(values), *values]
