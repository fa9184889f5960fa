"""Training text classifiers on labelled texts. Each user has their own models."""

from __future__ import annotations

import csv
import io
import secrets
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from jobs.classifier import Classifier, majority_share, split, train
from jobs.engine import Fatal, File, blob_exists, current_job, job, progress, read_blob, user_path, write_blob

DATA_SET = Path(__file__).parent / "data" / "sentiment.csv"
SHIPPED_MODEL = DATA_SET.with_suffix(".npz")
DEFAULT_MODEL = "default"
DEFAULT_EPOCHS = 20
MAX_TEXTS = 10_000
COLUMNS = ("text", "label")

Text = Annotated[str, Field(max_length=10_000, examples=["The room was lovely."])]
Label = Annotated[str | int, Field(description="The class of the text.")]
ModelId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class TrainingData(BaseModel):
    """Texts with their labels, in the same order."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"texts": ["It is warm.", "It is cold."], "labels": ["yes", "no"]}]},
    )

    texts: list[Text] = Field(min_length=2, max_length=MAX_TEXTS)
    labels: list[Label] = Field(min_length=2, max_length=MAX_TEXTS)

    @model_validator(mode="after")
    def _learnable(self) -> Self:
        if len(self.texts) != len(self.labels):
            raise _unlearnable(f"{len(self.texts)} texts need as many labels, not {len(self.labels)}")
        kinds = {str(label) for label in self.labels}
        if not 2 <= len(kinds) <= 50:
            raise _unlearnable(f"there must be from 2 to 50 different labels, not {len(kinds)}")
        if any(not 1 <= len(kind) <= 100 for kind in kinds):
            raise _unlearnable("a label must have from 1 to 100 characters")
        return self


def _unlearnable(reason: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "{reason}", {"reason": reason})


def _kind(value: Any) -> str:
    return "file" if isinstance(value, str | File) else "here"


#: A discriminator chooses between the two, so that errors are about the one that was sent.
Examples = Annotated[Annotated[TrainingData, Tag("here")] | Annotated[File, Tag("file")], Discriminator(_kind)]


@dataclass(frozen=True)
class Trained:
    """A trained model, for the job types batch-predict and predict."""

    model_id: str
    #: The share of the texts it was measured on that got their true label.
    accuracy: float
    #: The accuracy of always guessing the most frequent label.
    baseline_accuracy: float
    measured_on: Literal["held-out texts", "the training texts: too few to hold some out"]
    epochs: int
    labels: list[str]
    training_texts: int
    held_out_texts: int


@job(timeout=1800, preload=("sklearn.linear_model", "sklearn.model_selection", "scipy.sparse"))
def train_model(
    training_data: Examples,
    epochs: Annotated[int, Field(ge=1, le=1000)] = 10,
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0,
) -> Trained:
    """Train a text classifier on labelled texts.

    The data is sent in the request, or as a CSV file with the columns `text` and `label`. A fifth of the texts is held
    out to measure the accuracy. With fewer than 10 texts, or a label with a single text, the accuracy is measured on
    the training texts, and the result says so. The same data, epochs and seed give the same model. Only you can use
    the model.
    """
    examples = _read(training_data) if isinstance(training_data, File) else training_data
    texts, labels = examples.texts, [str(label) for label in examples.labels]
    parts = split(labels, seed)
    learned = [texts[i] for i in parts.train], [labels[i] for i in parts.train]
    asked = [texts[i] for i in parts.test], [labels[i] for i in parts.test]
    for epoch, model in enumerate(train(*learned, epochs=epochs, seed=seed), start=1):  # noqa: B007 (the last is kept)
        progress(current=epoch, total=epochs, message=f"Epoch {epoch} of {epochs}")
    model_id = _new_model_id()
    write_blob(_place(model_id), model.dump())
    return Trained(
        model_id=model_id,
        accuracy=round(model.accuracy(*asked), 4),
        baseline_accuracy=round(majority_share(learned[1], asked[1]), 4),
        measured_on="held-out texts" if parts.is_held_out else "the training texts: too few to hold some out",
        epochs=epochs,
        labels=list(model.labels),
        training_texts=len(parts.train),
        held_out_texts=len(parts.test) if parts.is_held_out else 0,
    )


def _read(file: File) -> TrainingData:
    with file.open() as source, io.TextIOWrapper(source, "utf-8-sig", "replace", newline="") as text:
        reader = csv.DictReader(text, strict=True)
        try:
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
                raise Fatal(f"The CSV file has no column {', '.join(missing)}; its first line must name them.")
            rows = [
                (row["text"] or "", row["label"] or "") for row, _ in zip(reader, range(MAX_TEXTS + 1), strict=False)
            ]
            return TrainingData(texts=[text for text, _ in rows], labels=[label for _, label in rows])
        except csv.Error as error:
            raise Fatal(f"The file can't be read as CSV: {error}.") from error
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            what = " ".join(str(part) for part in first["loc"])
            raise Fatal(f"The file can't be learned from: {what} {first['msg']}.") from None


def find_model(model_id: str) -> Classifier:
    """Return the current user's model with this id. The id `default` is the shipped model.

    Raises:
        Fatal: if the user has no such model.
    """
    if model_id == DEFAULT_MODEL:
        return default_model()
    place = _place(model_id)
    if not blob_exists(place):
        raise Fatal(f"You have no model {model_id!r}. Train one with train-model, or leave model_id out.")
    return _loaded(place)


@lru_cache(maxsize=8)
def _loaded(place: str) -> Classifier:
    """Read a model, and keep it for the next call. A model never changes, so its copy in memory stays valid."""
    return Classifier.load(read_blob(place))


@cache
def default_model() -> Classifier:
    """Return the shipped model: is an English sentence positive or negative?"""
    return Classifier.load(SHIPPED_MODEL.read_bytes())


def train_default_model() -> Classifier:
    """Train the model in `SHIPPED_MODEL`. After a change of the data set, write its `dump()` there."""
    with DATA_SET.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["text"] for row in rows], [row["label"] for row in rows]
    *_, model = train(texts, labels, epochs=DEFAULT_EPOCHS, seed=0)
    return model


def _new_model_id() -> str:
    # Made from the job's id, so that a retry replaces the model of the first attempt.
    current = current_job()
    return f"model_{current.job_id.replace('-', '')[:16] if current else secrets.token_hex(8)}"


def _place(model_id: str) -> str:
    return user_path(f"models/{model_id}.npz")
