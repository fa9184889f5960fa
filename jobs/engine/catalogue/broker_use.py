"""Find the functions that may connect to the broker while they run.

The broker's client is 8 MB of modules. Loaded into every process, it would make each fork a sixth dearer. So only the
processes of these functions have it, and the author need not say which ones they are.
"""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType

#: The module whose import loads what such a function needs.
BROKER_MODULE = "jobs.engine.files.files"

#: The modules whose names connect to the broker when a function uses them.
_CONNECTING = frozenset(
    {
        "jobs.engine.author.documents",
        "jobs.engine.author.file_parameters",
        "jobs.engine.author.file_results",
        "jobs.engine.client.own_jobs",
        "jobs.engine.webhooks.sender",
    }
)


def may_use_broker(module: str) -> bool:
    """Return True if a module imports a name that connects to the broker, or does so through its own package.

    A name that is imported within a function is not seen. There, the broker's client is loaded with it.
    """
    return _reaches_broker(module, set())


def _reaches_broker(module: str, seen: set[str]) -> bool:
    seen.add(module)
    origins = {_origin(value) for value in vars(sys.modules[module]).values()}
    if origins & _CONNECTING:
        return True
    package = module.partition(".")[0]
    near = [each for each in origins if each.partition(".")[0] == package and not each.startswith("jobs.engine")]
    return any(_reaches_broker(each, seen) for each in near if each not in seen and each in sys.modules)


def _origin(value: object) -> str:
    """Return the name of the module that a value comes from. It is empty for other values than code."""
    if isinstance(value, ModuleType):
        return value.__name__
    return value.__module__ or "" if isinstance(value, (type, FunctionType)) else ""
