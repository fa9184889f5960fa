"""The checkpoint: the state that a job saves and a later execution continues from."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any

from .outside_a_job import direct
from .running import current_attempt


class Checkpoint(MutableMapping[str, Any]):
    """A mapping of JSON values that outlives the execution. An assignment returns once the broker has stored it.

    Each assignment writes the whole mapping, so keep it small. Changes inside a value are not saved: assign it again.
    Outside a job it is an ordinary mapping, and what a direct call of a job's function assigns ends with that call.
    """

    @property
    def _values(self) -> dict[str, Any]:
        attempt = current_attempt()
        return attempt.checkpoint if attempt else direct.values

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"checkpoint[{name!r}]: names must be strings")
        self._write(self._values | {name: value})

    def __delitem__(self, name: str) -> None:
        values = dict(self._values)
        del values[name]
        self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        try:
            text = json.dumps(values, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(f"a checkpoint can only hold JSON values: {error}") from None
        if (attempt := current_attempt()) is None:
            direct.values = values
        else:
            attempt.channel.ask({"checkpoint": text})
            attempt.checkpoint = values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"checkpoint({self._values!r})"


checkpoint = Checkpoint()
