"""An imitation of the broker, for tests of the code that calls it."""

from __future__ import annotations

from typing import Any

import fakeredis


class ImitatedRedis(fakeredis.FakeRedis):
    """fakeredis, without the first line of a script, which it does not understand: the flags for Redis 7."""

    def register_script(self, script: Any) -> Any:
        text = script.decode() if isinstance(script, bytes) else script
        return super().register_script(text.split("\n", 1)[1] if text.startswith("#!") else text)
