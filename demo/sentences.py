"""Sentences for the tour's model: some to train it with, some for it to classify."""

from __future__ import annotations

from itertools import product
from typing import Any

THINGS = ("food", "service", "room", "view", "price", "music", "staff", "bed", "coffee", "walk")
JUDGEMENTS = {
    "positive": ("wonderful", "excellent", "lovely", "perfect", "delightful"),
    "negative": ("terrible", "awful", "dreadful", "disappointing", "miserable"),
}
FRAMES = ("The {} was {}.", "I found the {} {}.", "What a {}: simply {}!", "Our {} turned out to be {}.")


def examples() -> dict[str, Any]:
    """Return training data: sentences and their labels."""
    made = [
        (frame.format(thing, judgement), label)
        for label, judgements in JUDGEMENTS.items()
        for frame, thing, judgement in product(FRAMES, THINGS, judgements)
    ]
    return {"texts": [text for text, _ in made], "labels": [label for _, label in made]}


def texts(count: int) -> list[str]:
    """Return sentences that are not among the examples."""
    made = [
        f"The {thing} and the {other} were {judgement}."
        for thing, other in product(THINGS, THINGS)
        for judgements in JUDGEMENTS.values()
        for judgement in judgements
    ]
    return made[:count]
