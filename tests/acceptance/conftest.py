"""Two instances that all of these tests share: one with the defaults, and one with a language model and limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.instance import JOBS_FOR_TESTS, Api, Instance, PostOffice, Site
from tests.loopback import serving

ADDED = "jobs_of_a_test"

#: The whole code of a new job type.
ONE_FUNCTION = '''
from jobs.engine import File, job, track


@job
def count_lines(file: File) -> int:
    """Count the lines of a file."""
    with file.open() as lines:
        return sum(1 for _ in track(lines, "Counting"))
'''


@pytest.fixture(scope="session")
def post_office() -> Iterator[PostOffice]:
    office = PostOffice()
    yield office
    office.close()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory, post_office: PostOffice) -> Iterator[Instance]:
    """Start an instance with the defaults, a mail server, the job types of the tests, and a module that was added."""
    home = tmp_path_factory.mktemp("instance")
    add_job_package(home)
    instance = Instance(
        home,
        JOB_PACKAGES=f"jobs,{JOBS_FOR_TESTS},{ADDED}",
        SMTP_URL=f"smtp://127.0.0.1:{post_office.port}",
        MAIL_FROM="Workhorse <jobs@example.org>",
        MAX_ACTIVE_JOBS_PER_USER="50",
    )
    yield from running(instance)


@pytest.fixture(scope="session")
def instance_with_model(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Instance]:
    """Start an instance with a language model, whose answers the site has, and a limit of two running jobs per user."""
    instance = Instance(
        tmp_path_factory.mktemp("model"),
        LLM_BASE_URL=f"{site.address}/v1",
        LLM_API_KEY="sk-of-the-tests",
        MAX_RUNNING_JOBS_PER_USER="2",
        MAX_ACTIVE_JOBS_PER_USER="600",
        REGISTRATION="open",
        WORKERS="3",
    )
    yield from running(instance)


def add_job_package(home: Path) -> None:
    package = home / ADDED
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lines.py").write_text(ONE_FUNCTION)


def running(instance: Instance) -> Iterator[Instance]:
    try:
        instance.start()
        yield instance
    finally:
        instance.end()


@pytest.fixture
def alice(instance: Instance) -> Api:
    """Register a new user."""
    return instance.newcomer()
