"""The source text of the scripts: each one behind the files of Lua that it builds on."""

from __future__ import annotations

from importlib import resources

#: A script whose first line has this form (Redis 7 and later) is refused whole when the broker's memory is full.
#: Without that line, it would be stopped half done, at the first write that takes memory.
_SMALL = "heartbeat cancel announce note_worker drain".split()
_FLAGS = dict.fromkeys(_SMALL, "allow-oom") | dict.fromkeys(("find", "page"), "no-writes")
#: Without that line, only the writes are refused.
_UNREFUSED = frozenset({"look"})

#: The files that every script builds on, each on the ones before it.
_LIBRARY = "times malformed jobs counts history queues limits holding groups dependencies endings".split()
_ADMITS = frozenset({"look", "submit"})
_READS = frozenset({"find", "look", "submit"})
_SCHEDULES = frozenset({"submit", "unschedule", "skip_tick", "due_schedules", "change_schedule"})


def source(name: str) -> str:
    """Return the script `name`.lua, ready to be loaded."""
    flags = f" flags={_FLAGS[name]}" if name in _FLAGS else ""
    first = "" if name in _UNREFUSED else f"#!lua{flags}\n"
    admit = ("charge", "admit") if name in _ADMITS else ()
    record = ("record",) if name in _READS else ()
    schedules = ("schedules",) if name in _SCHEDULES else ()
    script = (resources.files(__package__) / f"{name}.lua").read_text()
    return first + library(*admit, *_LIBRARY, *record, *schedules) + script + "\n"


def library(*names: str) -> str:
    """Return the files library/`name`.lua one after the other."""
    folder = resources.files(__package__) / "library"
    return "\n".join((folder / f"{name}.lua").read_text() for name in names) + "\n"
