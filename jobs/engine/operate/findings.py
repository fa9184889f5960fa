"""The doctor's findings: which entry of the broker is damaged, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Damage(StrEnum):
    IN_NO_LIST = "in_no_list"
    IN_TWO_LISTS = "in_two_lists"
    HELD_BY_NOBODY = "held_by_nobody"
    HELD_WITHOUT_JOB = "held_without_job"
    HELD_AFTER_ITS_END = "held_after_its_end"
    EXECUTION_WITHOUT_JOB = "execution_without_job"
    ENTRY_WITHOUT_JOB = "entry_without_job"
    KEY_WITHOUT_JOB = "key_without_job"
    SLOT_WITHOUT_JOB = "slot_without_job"
    DEFERRED_FOR_NOTHING = "deferred_for_nothing"
    NOT_INDEXED = "not_indexed"
    WRONG_INDEX = "wrong_index"
    NEVER_EXPIRES = "never_expires"
    EXPIRES_ALIVE = "expires_alive"
    #: The engine did not write it, so the doctor can't repair it.
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Subject:
    """A job, or one entry of a key, which one call of a script examines."""

    #: `job`, or the kind of the entry (doctor_entry.lua).
    place: str
    #: The job's id, or the key.
    key: str
    #: The entry; empty for the key itself.
    member: str = ""


@dataclass(frozen=True)
class Finding:
    damage: Damage
    subject: Subject
    detail: str

    def __str__(self) -> str:
        name = f"job {self.subject.key}" if self.subject.place == "job" else self.subject.key
        return f"{self.damage}: {as_bytes(name).decode('utf-8', 'backslashreplace')}: {self.detail}"


def as_text(name: bytes) -> str:
    """Return the name of a key or an entry as text. It may contain any bytes, and `as_bytes` restores them."""
    return name.decode("utf-8", "surrogateescape")


def as_bytes(name: str) -> bytes:
    """Return the bytes of a name that `as_text` has decoded."""
    return name.encode("utf-8", "surrogateescape")
