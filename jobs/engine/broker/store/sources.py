"""The source text of the steps: files of Lua, each behind the files of the library that it requires.

The broker loads all steps together as one library of functions, once. Anything else would evaluate the library's text
again at each call.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources

#: The steps. The ones with a flag work differently while the broker's memory is full: then it refuses the others whole,
#: before their first command.
STEPS = {
    "submit": "",
    "claim": "",
    "heartbeat": "allow-oom",
    "report": "",
    "finish": "",
    "finish_and_claim": "",
    "cancel": "allow-oom",
    "retry": "",
    "remove": "",
    "promote": "",
    "end_late": "",
    "release": "",
    "suspects": "",
    "sweep": "",
    "make_room": "",
    "watch": "allow-oom",
    "pause": "allow-oom",
    "resume": "allow-oom",
    "announce": "allow-oom",
    "note_worker": "allow-oom",
    "drain": "allow-oom",
    "bulk": "",
    "bulk_end": "",
    "find": "no-writes",
    "check_retry": "no-writes",
    # It only writes that the request came.
    "look": "allow-oom",
    "page": "no-writes",
    "cancel_group": "",
    "group": "",
    "schedule": "",
    "unschedule": "",
    "change_schedule": "",
    "skip_tick": "",
    "due_schedules": "",
}

#: The names of all libraries of functions that versions of this project have loaded begin with this.
_PREFIX = "workhorse_"

#: The line in which a file names the files of the library that it requires.
_REQUIRES = re.compile(r"^-- Requires: (.+)\.\n", re.MULTILINE)


@dataclass(frozen=True)
class Functions:
    """A library of functions, one for each step."""

    #: It depends on the text, so versions with different texts can use one broker.
    name: str
    text: str

    def named(self, step: str) -> str:
        """Return the name of the function of a step."""
        return f"{self.name}_{step}"


@cache
def functions() -> Functions:
    """Return the library of all steps."""
    files = {step: _script(step) for step in STEPS}
    required = ["times"] + [name for text in files.values() for name in _required(text)]
    name = _PREFIX + sha256((library(*required) + "".join(files.values())).encode()).hexdigest()[:16]
    parts = [f"#!lua name={name}\n{library(*required)}"]
    for step, text in files.items():
        flags = f"'{STEPS[step]}'" if STEPS[step] else ""
        parts.append(
            f"redis.register_function{{ function_name = '{name}_{step}', flags = {{ {flags} }}, "
            f"callback = function(_, arguments)\nbegin(arguments)\n{text}\nend }}\n"
        )
    return Functions(name, "".join(parts))


def source(name: str) -> str:
    """Return `name`.lua as a script of its own, for what is called rarely."""
    text = _script(name)
    return f"#!lua\n{opening(*_required(text))}{text}\n"


def opening(*names: str) -> str:
    """Return the beginning of a script that uses these files of the library."""
    return "local given = ARGV\n" + library("times", *names) + "begin(given)\n"


def library(*names: str) -> str:
    """Return the files library/`name`.lua, each behind those that it requires."""
    return "".join(_file(name) + "\n" for name in _in_order(names))


def _in_order(names: Iterable[str]) -> dict[str, None]:
    """Return these files and all that they require, each behind those that it requires."""
    ordered: dict[str, None] = {}
    for name in names:
        ordered |= _in_order(_required(_file(name)))
        ordered[name] = None
    return ordered


def _required(text: str) -> Sequence[str]:
    found = _REQUIRES.search(text)
    return found[1].split(", ") if found else ()


def _script(name: str) -> str:
    return (resources.files(__package__) / f"{name}.lua").read_text()


@cache
def _file(name: str) -> str:
    return (resources.files(__package__) / "library" / f"{name}.lua").read_text()
