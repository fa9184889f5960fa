"""The page of settings agrees with the settings class."""

from __future__ import annotations

import re

import pytest

from jobs.engine.settings import Settings
from webapp.settings_page import PAGE, SECTIONS, page, shown_default

NAMES = list(Settings.model_fields)


def rows() -> dict[str, tuple[str, str]]:
    """Each variable in the page's tables, with its default and its meaning."""
    found = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$", page(), re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in found}


def test_the_page_in_docs_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m webapp.settings_page"


def test_the_page_lists_every_setting_in_order() -> None:
    assert list(rows()) == [name.upper() for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_description_of_at_least_one_sentence(name: str) -> None:
    description = Settings.model_fields[name].description or ""
    assert description[0].isupper() or description[0] in "`0123456789", description
    assert description.endswith(".")


def test_every_setting_has_a_heading_above_it() -> None:
    assert NAMES[0] in SECTIONS
    assert set(SECTIONS) <= set(NAMES)
    assert re.findall(r"^## (.+)$", page(), re.MULTILINE) == list(SECTIONS.values())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("redis_url", "not set"),
        ("allowed_functions", "not set"),
        ("job_packages", "`jobs`"),
        ("redis_tls_verify", "`true`"),
        ("shutdown_grace", "`25`"),
        ("file_ttl", "`604800` (7 days)"),
        ("max_upload_bytes", "`104857600` (100 MiB)"),
        ("max_job_memory_bytes", "`0`"),
        ("workers", "number of CPUs"),
        ("data_dir", "`./var`"),
    ],
)
def test_a_default_is_shown_as_it_would_be_written_in_the_environment(name: str, shown: str) -> None:
    assert shown_default(name) == shown


def test_a_description_is_followed_by_the_range_if_both_ends_are_limited() -> None:
    assert rows()["PORT"][1].endswith("Allowed: 1 to 65,535.")
    assert "Allowed" not in rows()["RESULT_TTL"][1]
