"""Discovery of the job functions in the modules of JOB_PACKAGES."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from jobs.engine.author.decorator import OPTIONS
from jobs.engine.errors import ConfigurationError, UnservableFunction, WorkhorseError


def job_functions(packages: Sequence[str]) -> list[Callable[..., Any]]:
    """Import each package's direct modules and return their `@job` functions.

    Subpackages are not searched. A function that several modules import counts once.

    Raises:
        UnservableFunction: a function can't be a job; the message names the fix.
        ConfigurationError: a package or a module can't be imported.
    """
    functions: dict[int, Callable[..., Any]] = {}
    for package in packages:
        for module in _modules(package):
            functions |= {id(value): value for value in vars(module).values() if _is_job(value)}
    return list(functions.values())


def _is_job(value: object) -> bool:
    return inspect.isfunction(value) and OPTIONS in vars(value)


def _modules(package_name: str) -> Iterator[ModuleType]:
    """Yield a package and its direct modules, or a module that is not a package."""
    package = _import(package_name)
    yield package
    for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
        if not found.ispkg and found.name != "__main__":
            yield _import(f"{package_name}.{found.name}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except UnservableFunction:
        raise  # its message names the function
    except WorkhorseError as error:
        raise ConfigurationError(f"The module {name} of JOB_PACKAGES can't be imported: {error.message}") from error
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ConfigurationError(
            f"The module {name} of JOB_PACKAGES can't be imported{_place(name, error)}: {reason}"
        ) from error


def _place(module_name: str, error: BaseException) -> str:
    """Return the line of the module that raised an error, as in ' (line 3)'; '' if it raised none itself."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_globals.get("__name__") == module_name]
    return f" (line {lines[-1]})" if lines else ""
