"""Two instances that all of these tests share: one as it comes, and one with a language model and limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.house import JOBS_FOR_TESTS, Api, House, PostOffice, Site
from tests.loopback import serving

DROPPED = "jobs_of_a_test"

#: All that it takes to add a job type.
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
    office.shut()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with serving(Site()) as site:
        yield site


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory, post_office: PostOffice) -> Iterator[House]:
    """As it comes, with a mail server, the job types of the other tests, and a module that was dropped in."""
    home = tmp_path_factory.mktemp("house")
    drop(home)
    house = House(
        home,
        JOB_PACKAGES=f"jobs,{JOBS_FOR_TESTS},{DROPPED}",
        SMTP_URL=f"smtp://127.0.0.1:{post_office.port}",
        MAIL_FROM="Workhorse <jobs@example.org>",
        MAX_ACTIVE_JOBS_PER_USER="50",
    )
    yield from kept(house)


@pytest.fixture(scope="session")
def house_with_model(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[House]:
    """With a language model, which answers what the site has at its path, and two running jobs for each user."""
    house = House(
        tmp_path_factory.mktemp("model"),
        LLM_BASE_URL=f"{site.address}/v1",
        LLM_API_KEY="sk-of-the-tests",
        MAX_RUNNING_JOBS_PER_USER="2",
        MAX_ACTIVE_JOBS_PER_USER="600",
        REGISTRATION="open",
        WORKERS="3",
    )
    yield from kept(house)


def drop(home: Path) -> None:
    package = home / DROPPED
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lines.py").write_text(ONE_FUNCTION)


def kept(house: House) -> Iterator[House]:
    try:
        house.start()
        yield house
    finally:
        house.end()


@pytest.fixture
def alice(house: House) -> Api:
    """Somebody new, whatever they are called."""
    return house.newcomer()
