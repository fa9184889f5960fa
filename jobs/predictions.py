"""Predicting labels for texts with a trained model, and logging single predictions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

from pydantic import Field

from jobs.engine import Retry, TryAgainLater, current_job, job, progress, user_document
from jobs.models import DEFAULT_MODEL, ModelId, Text, find_model

BATCH_SIZE = 10
#: The number of entries that a user's log keeps, and the characters of each text in it.
KEEP_LOGGED = 1_000
LOGGED_CHARACTERS = 500


@dataclass(frozen=True)
class Prediction:
    """The most likely label of one text."""

    #: The position of the text in the request.
    index: int
    label: str
    #: The probability of the label according to the model, from 0 to 1.
    confidence: float


@dataclass(frozen=True)
class Predictions:
    """One prediction for each text, in the order of the texts."""

    model_id: str
    predictions: list[Prediction]
    total: int


@job(timeout=600, preload=("numpy",))
def batch_predict(
    texts: Annotated[list[Text], Field(min_length=1, max_length=1000)],
    model_id: ModelId | None = None,
) -> Predictions:
    """Predict a label for each of up to 1,000 texts.

    Without `model_id`, the shipped model is used: is an English sentence positive or negative? Progress is reported
    after each batch of 10 texts.
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


@dataclass(frozen=True)
class Labelled:
    """The most likely label of a text."""

    model_id: str
    label: str
    #: The probability of the label according to the model, from 0 to 1.
    confidence: float


@job(priority="high", timeout=60, preload=("numpy",))
def predict(text: Text, model_id: ModelId | None = None) -> Labelled:
    """Predict a label for one text.

    `POST /predict` returns a label immediately, without a job. Use this job type in pipelines and schedules.
    """
    chosen = model_id or DEFAULT_MODEL
    [(label, confidence)] = find_model(chosen).predict([text])
    return Labelled(chosen, label, round(confidence, 4))


@dataclass(frozen=True)
class Logged:
    #: The number of predictions logged so far, including those that are no longer kept.
    total: int


@job(priority="low", timeout=120, retry=Retry(max=5, on=(TryAgainLater,)))
def log_prediction(
    text: Text,
    label: Annotated[str, Field(max_length=100)],
    confidence: Annotated[float, Field(ge=0, le=1)],
    model_id: ModelId = DEFAULT_MODEL,
) -> Logged:
    """Add a prediction to your prediction log, which keeps the newest 1,000.

    `POST /predict` submits this job after each response.
    """
    current = current_job()
    entry = {
        "job_id": current.job_id if current else None,
        "at": datetime.now(UTC).isoformat(),
        "text": text[:LOGGED_CHARACTERS],
        "label": label,
        "confidence": confidence,
        "model_id": model_id,
    }
    with user_document("predictions") as log:
        newest = log.setdefault("newest", [])
        # A job that runs a second time has already written its entry.
        if current is None or all(each["job_id"] != current.job_id for each in newest):
            log["newest"] = [*newest, entry][-KEEP_LOGGED:]
            log["total"] = log.get("total", 0) + 1
        return Logged(log["total"])
