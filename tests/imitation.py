"""An imitation of the broker for tests of what stands in front of it."""

from __future__ import annotations

from typing import Any

import fakeredis


class ImitatedRedis(fakeredis.FakeRedis):
    """fakeredis, which does not know the first line that tells Redis 7 what a script may do."""

    def register_script(self, script: Any) -> Any:
        text = script.decode() if isinstance(script, bytes) else script
        return super().register_script(text.split("\n", 1)[1] if text.startswith("#!") else text)
