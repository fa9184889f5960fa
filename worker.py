"""The worker process: settings → catalogue → pool of workers."""

from __future__ import annotations

import argparse
import logging
import sys

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import WorkhorseError
from jobs.engine.settings import Settings
from jobs.engine.worker.supervisor import Supervisor


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Run this host's workers and its scheduler until SIGTERM.")
    parser.add_argument("--check", action="store_true", help="print the settings and the job types, and exit")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = Settings.load()
        catalogue = Catalogue.discover(settings.job_packages)
    except WorkhorseError as error:
        print(f"worker.py: {error.message}", file=sys.stderr)
        return 1
    if options.check:
        print(_report(settings, catalogue))
        return 0
    return Supervisor(settings, catalogue).run()


def _report(settings: Settings, catalogue: Catalogue) -> str:
    lines = ["Settings:"]
    lines += [f"  {name.upper()}={shown}" for name, shown in settings.shown().items()]
    lines.append(f"Catalogue ({len(catalogue)} job types):")
    for name, job_type in sorted(catalogue.items()):
        lines.append(f"  {name:24} {job_type.priority:8} timeout {job_type.timeout} s   {_about(job_type)}")
    return "\n".join(lines)


def _about(job_type: JobType) -> str:
    needs = f" Needs a worker that can {', '.join(job_type.needs)}." if job_type.needs else ""
    return f"{job_type.summary}{needs}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
