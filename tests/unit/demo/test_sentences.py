"""The sentences of the demo's model."""

from __future__ import annotations

from demo.sentences import examples, texts


def test_every_example_has_one_of_two_labels() -> None:
    training = examples()
    assert len(training["texts"]) == len(training["labels"]) == 400
    assert set(training["labels"]) == {"positive", "negative"}


def test_the_texts_to_classify_are_not_among_the_examples() -> None:
    assert len(texts(1000)) == 1000
    assert not set(texts(1000)) & set(examples()["texts"])
