"""The source text of the scripts: each behind the files that it builds on."""

from __future__ import annotations

from importlib import resources

#: A script with a first line of this kind (Redis 7 and later) is refused whole when the broker's memory is full; one
#: without would be stopped at the first write that takes memory, half done.
_FLAGS = dict.fromkeys(("heartbeat", "cancel"), "allow-oom") | dict.fromkeys(("find", "page"), "no-writes")
#: Without that line, only the writes are refused.
_UNREFUSED = frozenset({"look"})
#: What a script builds on besides the prelude.
_ADMITS = frozenset({"look", "submit"})
_READS = frozenset({"find", "look", "submit"})


def source(name: str) -> str:
    """Return the script `name`.lua, ready to be loaded."""
    flags = f" flags={_FLAGS[name]}" if name in _FLAGS else ""
    first = "" if name in _UNREFUSED else f"#!lua{flags}\n"
    before = ("charge", "admit") if name in _ADMITS else ()
    record = ("record",) if name in _READS else ()
    return first + library(*before, "prelude", *record, name)


def library(*names: str) -> str:
    """Return the files `name`.lua one after the other, for a script to begin with."""
    folder = resources.files(__package__)
    return "\n".join((folder / f"{name}.lua").read_text() for name in names) + "\n"
