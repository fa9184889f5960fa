"""Labels for texts, by a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

from pydantic import Field

from jobs.engine import job, progress
from jobs.models import DEFAULT_MODEL, ModelId, Text, find_model

BATCH_SIZE = 10


@dataclass(frozen=True)
class Prediction:
    """The likeliest label of one text."""

    #: Where the text stood in the request.
    index: int
    label: str
    #: How likely the label is by the model, from 0 to 1.
    confidence: float


@dataclass(frozen=True)
class Predictions:
    """One prediction for each text, in the order of the texts."""

    model_id: str
    predictions: list[Prediction]
    total: int


@job(timeout=600, preload=("sklearn.feature_extraction.text",))
def batch_predict(
    texts: Annotated[list[Text], Field(min_length=1, max_length=1000)],
    model_id: ModelId | None = None,
) -> Predictions:
    """Predict a label for each of up to 1,000 texts.

    Without `model_id` the model that ships is used: is an English sentence positive or negative?
    The texts go through in batches of 10, with progress after each.
    """
    chosen = model_id or DEFAULT_MODEL
    progress(0, "Loading the model")
    model = find_model(chosen)
    predictions: list[Prediction] = []
    while batch := list(islice(texts, len(predictions), len(predictions) + BATCH_SIZE)):
        for label, confidence in model.predict(batch):
            predictions.append(Prediction(len(predictions), label, round(confidence, 4)))
        progress(current=len(predictions), total=len(texts), message=f"{len(predictions)} of {len(texts)} texts")
    return Predictions(chosen, predictions, len(predictions))
