"""The documentation agrees with the code: settings, states, API, links and snippets."""

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
from jobs.engine.states import TRANSITIONS, PendingReason, Status
from webapp import create_app
from webapp.cli import job_commands
from webapp.problems import STATUSES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
HTTP_API = DOCS / "http-api.md"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("*.md"))]
README_LINES = 140

FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def snippets(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language, including those in lists."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [dedent(block) for block in found]


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next heading of the same level."""
    level, _, _ = heading.partition(" ")
    _, found, text = page.read_text().partition(f"\n{heading}\n")
    assert found, heading
    return text.partition(f"\n{level} ")[0]


def first_cells(text: str) -> list[str]:
    """Return the code words in the first column of the tables in a text."""
    return [
        word for cell in re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE) for word in re.findall(r"`([^`]+)`", cell)
    ]


# --- settings ------------------------------------------------------------------------------


@pages
def test_a_page_names_only_settings_that_exist(page: Path) -> None:
    # boto3 reads its own.
    names = {name.upper() for name in Settings.model_fields} | set(re.findall(r"AWS_[A-Z_]+", s3.__doc__ or ""))
    written = set(re.findall(r"`([A-Z][A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", page.read_text()))
    assert written <= names


# --- states --------------------------------------------------------------------------------


def test_the_state_diagram_shows_exactly_the_allowed_transitions() -> None:
    (diagram,) = snippets(DOCS / "concepts.md", "mermaid")
    drawn = re.findall(r"^ *([a-z]+) --> ([a-z]+): \S", diagram, re.MULTILINE)
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {(str(before), str(after)) for before, moves in TRANSITIONS.items() for after in moves}


def test_the_state_diagram_begins_with_pending() -> None:
    (diagram,) = snippets(DOCS / "concepts.md", "mermaid")
    assert re.findall(r"\[\*\] --> (\w+)", diagram) == [Status.PENDING]


def test_the_concepts_explain_every_pending_reason() -> None:
    assert first_cells(section(DOCS / "concepts.md", "## States"))[: len(PendingReason)] == list(PendingReason)


# --- the HTTP API --------------------------------------------------------------------------


def test_the_http_api_page_names_every_resource(tmp_path: Path) -> None:
    routes = [rule.rule for rule in create_app(Settings(data_dir=tmp_path)).url_map.iter_rules()]
    resources = {rule.split("/")[3] for rule in routes if rule.startswith("/api/v1/")}
    assert {each for each in resources if f"/{each}" not in HTTP_API.read_text()} == set()


def test_the_http_api_page_lists_every_status_of_a_refusal() -> None:
    refusals = {int(status) for status in STATUSES.values()}
    listed = re.findall(r"\b[45]\d\d\b", section(HTTP_API, "## Errors").split("| status |")[1])
    assert refusals == {int(status) for status in listed}


# --- names of things that exist ------------------------------------------------------------


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= README_LINES


def test_every_file_in_the_layout_exists() -> None:
    for name in first_cells(section(README, "## Layout")):
        assert (ROOT / name).exists(), name


def test_the_layout_lists_every_room_of_the_engine() -> None:
    rooms = {path.parent.name for path in (ROOT / "jobs" / "engine").glob("*/__init__.py")}
    listed = re.findall(r"`jobs/engine/(\w+)/`", section(README, "## Layout"))
    assert sorted(listed) == sorted(rooms)


def test_the_index_links_to_every_page_of_docs() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", (DOCS / "README.md").read_text())
    assert [page.name for page in sorted(DOCS.glob("*.md")) if page.name not in [*linked, "README.md"]] == []


def test_writing_jobs_names_everything_that_a_job_may_import() -> None:
    text = (DOCS / "writing-jobs.md").read_text()
    assert [name for name in jobs.engine.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_the_table_of_options_lists_every_option_of_job() -> None:
    assert first_cells(section(DOCS / "writing-jobs.md", "## Options of @job")) == list(decorator.EXPECTED)


def test_operations_names_every_command() -> None:
    text = (DOCS / "operations.md").read_text()
    assert [name for name in job_commands.jobs.commands if f"jobs {name}" not in text] == []


@pages
def test_a_page_names_only_make_targets_that_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", page.read_text())) <= targets


# The changelog also names what was removed.
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "CHANGELOG"], ids=lambda page: page.name)
def test_a_page_names_only_files_and_modules_that_exist(page: Path) -> None:
    text = page.read_text()
    files = set(re.findall(r"`((?:jobs/engine|webapp|bench|tests|docs)/[\w/]+\.\w+)`", text))
    modules = re.findall(r"python -m ((?:bench|demo|jobs|webapp)[\w.]*)\b", text)
    places = [ROOT / module.replace(".", "/") for module in modules]
    assert [name for name in files if not (ROOT / name).exists()] == []
    assert [
        place for place in places if not (place / "__main__.py").exists() and not place.with_suffix(".py").exists()
    ] == []


# --- links ---------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes from a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
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
    """Return a function that makes one module of a page's Python snippets, in a package that a catalogue can search."""
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
def test_the_python_snippets_of_a_page_run_and_can_be_served(page: Path, module_of: Any) -> None:
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
    assert 3.0 < module_of(README).estimate_pi(rounds=2) < 3.3


def test_getting_started_uses_the_job_of_the_readme() -> None:
    assert snippets(DOCS / "getting-started.md", "python") == snippets(README, "python")
