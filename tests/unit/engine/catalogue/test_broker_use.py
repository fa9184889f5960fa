"""The functions whose processes have the broker's client."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

from jobs.engine.catalogue.broker_use import BROKER_MODULE
from jobs.engine.catalogue.catalogue import Catalogue
from tests.unit.engine.job_packages import Write

LOOK = """
import sys
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.worker.supervisor import Supervisor
Catalogue.discover(["jobs"])
print(*sorted({"asyncio", "concurrent.futures", "redis", "ssl"} & {*sys.modules}))
"""


def modules_of(package: str) -> dict[str, tuple[str, ...]]:
    return {name: job_type.modules for name, job_type in Catalogue.discover([package]).items()}


def test_a_module_that_imports_a_name_that_connects_gets_the_brokers_client(write_package: Write) -> None:
    package = write_package(
        files="""
            from jobs.engine import File
            @job
            def count(file: File) -> int:
                return file.size
        """,
        documents="""
            from jobs.engine import user_document
            @job(preload=("json",))
            def note() -> None: ...
        """,
        plain="""
            from jobs.engine import Retry, progress, read_blob
            @job
            def greet() -> None: ...
        """,
    )
    assert modules_of(package) == {"count": (BROKER_MODULE,), "note": ("json", BROKER_MODULE), "greet": ()}


def test_a_module_that_uses_the_broker_through_its_own_package_gets_the_client_too(write_package: Write) -> None:
    package = write_package(
        names="""
            from PACKAGE import middle
            @job
            def whole_module() -> None: ...
        """,
        functions="""
            from PACKAGE.middle import keep
            @job
            def one_function() -> None: ...
        """,
        middle="""
            from PACKAGE.inner import write
            def keep() -> None: ...
        """,
        inner="""
            from PACKAGE import middle
            from jobs.engine import save_file
            def write() -> None: ...
        """,
    )
    assert modules_of(package) == {"whole-module": (BROKER_MODULE,), "one-function": (BROKER_MODULE,)}


def test_the_module_loads_the_brokers_client() -> None:
    import_module(BROKER_MODULE)
    assert "redis" in sys.modules


def test_the_included_job_types_are_loaded_without_modules_that_slow_each_fork() -> None:
    assert subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True).stdout == "\n"
