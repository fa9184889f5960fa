"""The rules of a job type in words, on the command line and on the pages."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from webapp.rule_words import rules_in_words
from webapp.services import Services

from .command import Command

RULES = {
    "limited-in-three-ways": [
        "At most 3 run at the same time.",
        "At most 5 start in any second.",
        "At most 1 run at the same time for each key and user.",
    ],
    "once-a-word": ["Unique by word for each user until it has ended: an equal submission returns that job."],
    "until-started": ["Unique by word for each user until it has started: an equal submission returns that job."],
    "unique-for-a-moment": [
        "Unique by all parameters for each user until it has ended, or for 0.3 s: an equal submission returns that job."
    ],
    "newest-word": [
        "One job for each user until it has ended: an equal submission gives the waiting job its parameters."
    ],
    "soon-or-never": ["Cancelled if not started within 60 s."],
    "noop": [],
}


@pytest.mark.parametrize("name", RULES)
def test_the_rules_of_a_job_type_are_sentences(services: Services, name: str):
    assert rules_in_words(services.catalogue.find(name)) == RULES[name]


def test_the_command_line_shows_them(app: Flask):
    assert "At most 5 start in any second.\n" in Command(app)("jobs", "types", "limited-in-three-ways").out


def test_a_page_shows_the_limit_a_job_waits_for_and_its_unique_key(alice: Any, services: Services):
    for number in (1, 2):
        job = alice.submits(f"one-for-each-key?unique_key=number+{number}&start_within=600", {"path": "", "key": "k 1"})
    services.client.store.claim("w", "e1", ("default",))
    assert services.client.store.claim("w", "e2", ("default",)) is None

    page = " ".join(alice.get(f"/jobs/{job['job_id']}").text.split())

    assert 'limited</span> <span class="faint">by running=1 for key=k 1</span>' in page
    assert "<dt>Unique key</dt><dd>number 2</dd>" in page
    assert "<dt>Start by</dt>" in page
