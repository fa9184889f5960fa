"""Call the steps by their names. Each one is atomic: a function that is loaded into the broker once.

A broker that lacks the functions, because it is new or lost its data, says so before anything has run. Then they are
loaded, and the call is made again.
"""

from __future__ import annotations

import time
from typing import Any, cast

import redis

from .sources import functions, source

#: The libraries that stay in the broker: those of the versions that called last. During a deploy there are two.
KEEP_LIBRARIES = 3
_LOADED = "wh:functions"
#: What to do about a broker without memory for the functions.
MAKE_ROOM = "Raise its maxmemory, or wait until ended jobs have expired."
NO_MEMORY = f"The broker is full, so it can't load the functions of this version. {MAKE_ROOM}"


class Scripts:
    def __init__(self, connection: redis.Redis) -> None:
        self.connection = connection
        self._functions = functions()

    def run(self, step: str, *arguments: str | bytes | int | float) -> Any:
        """Run a step, and return its reply."""
        call = ("FCALL", self._functions.named(step), 0, *arguments)
        try:
            return self.connection.execute_command(*call)
        except redis.exceptions.ResponseError as error:
            # Neither Redis nor Valkey has a code for it.
            if "Function not found" not in str(error):
                raise
        self._load()
        return self.connection.execute_command(*call)

    def add_to(self, pipeline: redis.client.Pipeline, name: str, *arguments: str | bytes | int | float) -> None:
        """Add a script that is called rarely to the commands of a pipeline."""
        self.connection.register_script(source(name))(args=list(arguments), client=pipeline)

    def _load(self) -> None:
        try:
            self.connection.function_load(self._functions.text, replace=True)
        except redis.exceptions.OutOfMemoryError as error:
            raise redis.exceptions.OutOfMemoryError(NO_MEMORY) from error
        self.connection.zadd(_LOADED, {self._functions.name: time.time()})
        for name in cast(list[bytes], self.connection.zrange(_LOADED, 0, -1 - KEEP_LIBRARIES)):
            self._forget(name.decode())

    def _forget(self, name: str) -> None:
        """Delete the library of an earlier version. If that version still runs, it loads it again."""
        try:
            self.connection.function_delete(name)
        except redis.exceptions.ResponseError as error:
            if "not found" not in str(error):
                raise
        self.connection.zrem(_LOADED, name)
