"""The documentation agrees with the code: settings, states, links and snippets."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest

import jobs.engine
from jobs.engine import checkpoint
from jobs.engine.author import decorator
from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.files import s3
from jobs.engine.settings import Settings
from jobs.engine.states import TRANSITIONS, Status
from webapp import create_app
from webapp.cli import job_commands

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text()

FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def snippets(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, those in lists included."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [dedent(block) for block in found]


# --- settings ------------------------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of the README."""
    _, _, section = README.partition(f"\n## {heading}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pages
def test_a_page_names_no_setting_that_does_not_exist(page: Path) -> None:
    # boto3 reads its own.
    names = {name.upper() for name in Settings.model_fields} | set(re.findall(r"AWS_[A-Z_]+", s3.__doc__ or ""))
    written = set(re.findall(r"`([A-Z][A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", page.read_text()))
    assert written <= names


# --- states --------------------------------------------------------------------------------


def test_the_picture_of_states_shows_every_move_that_may_happen_and_no_other() -> None:
    (diagram,) = snippets(ROOT / "README.md", "mermaid")
    drawn = re.findall(r"^ *([a-z]+) --> ([a-z]+): \S", diagram, re.MULTILINE)
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {(str(before), str(after)) for before, moves in TRANSITIONS.items() for after in moves}


def test_the_picture_of_states_begins_where_a_job_begins() -> None:
    (diagram,) = snippets(ROOT / "README.md", "mermaid")
    assert re.findall(r"\[\*\] --> (\w+)", diagram) == [Status.PENDING]


# --- what is there, and what is not ----------------------------------------------------------


def test_the_readme_names_every_resource_of_the_api(tmp_path: Path) -> None:
    routes = [rule.rule for rule in create_app(Settings(data_dir=tmp_path)).url_map.iter_rules()]
    resources = {rule.split("/")[3] for rule in routes if rule.startswith("/api/v1/")}
    assert {each for each in resources if f"/{each}" not in README} == set()


def test_writing_jobs_names_all_that_a_job_may_import() -> None:
    text = (ROOT / "docs" / "writing-jobs.md").read_text()
    assert [name for name in jobs.engine.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_operations_names_every_command_and_its_make_targets_exist() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in job_commands.jobs.commands if f"`{name}`" not in text and f"jobs {name}" not in text] == []
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for page in PAGES for name in re.findall(r"`make ([a-z]+)", page.read_text())} <= targets


# --- links ---------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text())):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


# --- snippets ------------------------------------------------------------------------------


@pytest.fixture
def module_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes one module of a page's Python snippets, in a package that a catalogue can search."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(page: Path) -> ModuleType:
        package = tmp_path / "snippets"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "page.py").write_text("\n\n".join(snippets(page, "python")))
        importlib.invalidate_caches()
        return importlib.import_module("snippets.page")

    yield make
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "snippets":
            del sys.modules[name]


@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page, "python")], ids=lambda page: page.name)
def test_the_snippets_of_a_page_run_and_can_be_served(page: Path, module_of: Any) -> None:
    module = module_of(page)
    defined = [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    for test in [value for value in defined if getattr(value, "__name__", "").startswith("test_")]:
        test()
    checkpoint.clear()
    served = Catalogue.discover(["snippets"])
    assert {job_type.function for job_type in served.values()} == {
        value for value in defined if hasattr(value, decorator.OPTIONS)
    }
    assert len(served) > 0


def test_the_job_of_the_readme_estimates_pi(module_of: Any) -> None:
    assert 3.0 < module_of(ROOT / "README.md").estimate_pi(rounds=2) < 3.3


def test_the_table_of_options_names_every_option_of_job() -> None:
    text = (ROOT / "docs" / "writing-jobs.md").read_text()
    _, _, section = text.partition("\n## Options of @job\n")
    told = re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE)
    assert told == list(decorator.EXPECTED)


def test_no_page_speaks_of_what_is_not_in_the_house() -> None:
    """Each file that a table of the README names is there."""
    for name, *_ in rows("The layout"):
        assert (ROOT / name.strip("`")).exists(), name
