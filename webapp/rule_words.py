"""The limits of a job type, its rule for unique jobs and its deadline, in words."""

from __future__ import annotations

from jobs.engine.author.limit import Limit
from jobs.engine.author.unique import Unique
from jobs.engine.catalogue.job_type import JobType

_ON_CONFLICT = {
    "return": "an equal submission returns that job",
    "reject": "an equal submission is refused",
    "replace": "an equal submission gives the waiting job its parameters",
}


def rules_in_words(job_type: JobType) -> list[str]:
    """Return a sentence for each rule."""
    sentences = [_limit(limit) for limit in job_type.rules.limits]
    if job_type.unique:
        sentences.append(_unique(job_type.unique))
    if job_type.start_within:
        sentences.append(f"Cancelled if not started within {job_type.start_within:g} s.")
    return sentences


def _limit(limit: Limit) -> str:
    each = f" for each {' and '.join(limit.names)}" if limit.names else ""
    if limit.rate:
        count, _, period = limit.rate.partition("/")
        return f"At most {count} start in any {period}{each}."
    return f"At most {limit.running} run at the same time{each}."


def _unique(rule: Unique) -> str:
    by = "all parameters" if rule.names is None else " and ".join(rule.names)
    what = f"Unique by {by} for each user" if by else "One job for each user"
    until = "has ended" if rule.until == "end" else "has started"
    ttl = f", or for {rule.ttl:g} s" if rule.ttl else ""
    return f"{what} until it {until}{ttl}: {_ON_CONFLICT[rule.on_conflict]}."
