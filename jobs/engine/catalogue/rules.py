"""The limits of a job type and its rule for unique jobs, with the keys of its jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobs.engine.author.decorator import JobOptions, full_name_of
from jobs.engine.author.limit import Limit
from jobs.engine.author.unique import Unique
from jobs.engine.errors import UnservableFunction

from .keys import KeyReader, digest
from .type_hints import signature_of

#: A limit as the scripts read it: its name, how many, the seconds of a rate's period or 0, and the key for people.
LimitEntry = list[str | int]


class Rules:
    """Raises UnservableFunction: a limit names no parameter, or two limits are the same."""

    def __init__(self, function: Callable[..., Any], options: JobOptions) -> None:
        self._name = options.name
        self._unique = options.unique
        self.limits = _checked_limits(function, options)
        self._readers = {limit: KeyReader(function, limit.names, f"Limit({limit})") for limit in self.limits}
        self._equal = _unique_reader(function, options.unique) if options.unique else None

    @property
    def max_running(self) -> int | None:
        """The limit of running jobs of this type, whatever their key; None: no limit."""
        return next((limit.running for limit in self.limits if not limit.names and limit.running), None)

    def key_parameters(self, *, unique: bool = True) -> frozenset[str]:
        """Return the parameters whose values must be known when a job is submitted.

        Args:
            unique: False: the submission has a `unique_key`, so its parameters don't make it unique.
        """
        readers = [*self._readers.values(), *([self._equal] if self._equal and unique else ())]
        return frozenset(name for reader in readers for name in reader.parameters)

    def limit_entries(self, params: Mapping[str, Any], user_id: str | None) -> list[LimitEntry]:
        """Return the limits of a job, without that of `max_running`, which its record has in another field."""
        return [self._entry(limit, params, user_id) for limit in self.limits if limit.rate or limit.names]

    def _entry(self, limit: Limit, params: Mapping[str, Any], user_id: str | None) -> LimitEntry:
        of_type = f"rate:{self._name}/{limit.period_seconds}" if limit.rate else f"type:{self._name}"
        if not limit.names:
            return [of_type, limit.count, limit.period_seconds, ""]
        key = self._readers[limit].key(params, user_id)
        return [f"{of_type}|{key.name}", limit.count, limit.period_seconds, key.shown]

    def unique(self, params: Mapping[str, Any], owner: str, words: str | None) -> dict[str, Any] | None:
        """Return the rule by which a job is unique among its owner's jobs of this type, or None.

        Args:
            params: the validated parameters.
            words: the `unique_key` of the submission, which replaces the values of the parameters.
        """
        if words is not None:
            what: list[Any] = ["key", words]
            shown = words
        elif self._equal is not None:
            what = ["by", self._equal.values(params, owner)]
            shown = self._equal.key(params, owner).shown
        else:
            return None
        rule = self._unique or Unique()
        found: dict[str, Any] = {"key": digest([owner, self._name, *what]), "shown": shown}
        found["on_conflict"] = rule.on_conflict
        if rule.until == "start":
            found["until_start"] = True
        if rule.ttl is not None:
            found["ttl_ms"] = round(rule.ttl * 1000)
        return found


def _unique_reader(function: Callable[..., Any], rule: Unique) -> KeyReader:
    names = signature_of(function).parameters if rule.names is None else rule.names
    return KeyReader(function, names, f"Unique(by={rule.by!r})")


def _checked_limits(function: Callable[..., Any], options: JobOptions) -> tuple[Limit, ...]:
    of_type = [Limit(running=options.max_running)] if options.max_running is not None else []
    limits = [*of_type, *options.limits]
    kinds = [(frozenset(limit.names), limit.period_seconds) for limit in limits]
    if twice := [limit for limit, kind in zip(limits, kinds, strict=True) if kinds.count(kind) > 1]:
        both = " and ".join(f"Limit({limit})" for limit in twice[:2])
        raise UnservableFunction(f"{full_name_of(function)}: {both} limit the same jobs; keep one of them.")
    return tuple(limits)
