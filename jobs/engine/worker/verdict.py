"""The verdict of a reused work horse on itself: may it serve another attempt?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Characters of a reason that are kept.
REASON_CHARACTERS = 500


@dataclass(frozen=True)
class Verdict:
    #: What the attempt changed or left behind. Empty: the process may serve another one.
    reason: str = ""
    #: Memory that the process holds because of its earlier attempts.
    carried_bytes: int = 0

    def as_message(self) -> dict[str, Any]:
        return vars(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Verdict:
        return cls(str(message["reason"])[:REASON_CHARACTERS], int(message["carried_bytes"]))
