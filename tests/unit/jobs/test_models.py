"""Training classifiers and predicting with them."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import models
from jobs.classifier import Classifier
from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import Fatal, InvalidParameters
from jobs.models import DATA_SET, TrainingData, default_model, train_default_model, train_model
from jobs.predictions import batch_predict

SAMPLE = Path(__file__).parents[3] / "demo" / "samples" / "training.csv"

pytestmark = pytest.mark.usefixtures("data_dir")


def examples(file: Path) -> TrainingData:
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    return TrainingData(texts=[row["text"] for row in rows], labels=[row["label"] for row in rows])


@pytest.fixture
def data() -> TrainingData:
    return examples(SAMPLE)


def shipped() -> TrainingData:
    return examples(DATA_SET)


# --- train-model ----------------------------------------------------------------


def test_training_reports_every_epoch_and_names_a_model_after_its_job(
    data: TrainingData, in_job: Callable[..., Any]
) -> None:
    with in_job("6f1c2d3e-0000-4000-8000-000000000001") as attempt:
        trained = train_model(data, epochs=4)
    assert [percent for percent, _ in attempt.steps] == [25, 50, 75, 100]
    assert attempt.steps[0][1] == "Epoch 1 of 4"
    assert trained.model_id == "model_6f1c2d3e00004000"
    assert (trained.epochs, trained.labels) == (4, ["cooking", "sport"])
    assert trained.measured_on == "held-out texts"
    assert (trained.training_texts, trained.held_out_texts) == (13, 3)


def test_a_trained_model_knows_its_subject(data: TrainingData, in_job: Callable[..., Any]) -> None:
    with in_job():
        model_id = train_model(data, epochs=20).model_id
        answer = batch_predict(["The team won the match.", "Stir the sauce and bake the bread."], model_id)
    assert [prediction.label for prediction in answer.predictions] == ["sport", "cooking"]
    assert all(0.5 < prediction.confidence <= 1 for prediction in answer.predictions)


def test_training_again_with_the_same_data_and_seed_gives_the_same_model(data: TrainingData) -> None:
    first, second, other = (train_model(data, epochs=5, seed=seed).model_id for seed in (1, 1, 2))
    stored = {model_id: models.find_model(model_id).weights.tobytes() for model_id in (first, second, other)}
    assert stored[first] == stored[second] != stored[other]


def test_accuracy_on_the_shipped_data_is_better_than_guessing() -> None:
    results = [train_model(shipped(), epochs=20, seed=seed) for seed in range(4)]
    assert all(result.measured_on == "held-out texts" for result in results)
    assert all(abs(result.baseline_accuracy - 0.5) < 0.02 for result in results)
    assert sum(result.accuracy for result in results) / len(results) > 0.65


def test_the_baseline_is_the_share_of_the_most_frequent_label() -> None:
    texts = [f"text number {n}" for n in range(20)]
    trained = train_model(TrainingData(texts=texts, labels=["often"] * 15 + ["seldom"] * 5), epochs=1)
    assert trained.baseline_accuracy == 0.75


def test_with_few_texts_the_result_says_that_accuracy_was_measured_on_the_training_data() -> None:
    trained = train_model(TrainingData(texts=["good", "bad", "fair"], labels=["a", "b", "c"]), epochs=10)
    assert trained.measured_on == "the training texts: too few to hold some out"
    assert trained.held_out_texts == 0


def test_many_labels_are_distinguished() -> None:
    words = {"fruit": "apple pear plum", "metal": "iron copper zinc", "bird": "crow robin wren"}
    texts = [f"{word} {word}s" for group in words.values() for word in group.split()] * 3
    labels = [label for label, group in words.items() for _ in group.split()] * 3
    trained = train_model(TrainingData(texts=texts, labels=labels), epochs=30)
    answer = batch_predict(["apple", "zincs", "a wren"], trained.model_id)
    assert [prediction.label for prediction in answer.predictions] == ["fruit", "metal", "bird"]


def test_texts_without_words_break_neither_training_nor_prediction() -> None:
    trained = train_model(TrainingData(texts=["", "…", "!!!"], labels=["a", "b", "a"]), epochs=2)
    assert batch_predict(["?", "words"], trained.model_id).total == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"training_data": {"texts": ["a", "b"], "labels": ["x"]}}, "at least 2"),
        ({"training_data": {"texts": ["a", "b", "c"], "labels": ["x", "y"]}}, "3 texts need as many labels, not 2"),
        ({"training_data": {"texts": ["a", "b"], "labels": ["x", "x"]}}, "from 2 to 50 different labels, not 1"),
        ({"training_data": {"texts": ["a", "b"], "labels": ["x", ""]}}, "from 1 to 100 characters"),
        ({"training_data": {"data": "test"}}, "required"),
        ({"epochs": 0}, "greater than or equal to 1"),
        ({"epochs": 1001}, "less than or equal to 1000"),
    ],
)
def test_unusable_training_data_is_refused_at_submit(change: dict[str, Any], says: str) -> None:
    valid = {"training_data": {"texts": ["a", "b"], "labels": ["x", 2]}, "epochs": 1}
    parameters = JobType.of(train_model).parameters
    parameters.validate(valid)
    with pytest.raises(InvalidParameters) as refused:
        parameters.validate(valid | change)
    assert any(says.lower() in fault.message.lower() for fault in refused.value.faults)


# --- whose models ---------------------------------------------------------------


def test_only_its_owner_can_use_a_model(data: TrainingData, in_job: Callable[..., Any]) -> None:
    with in_job(user="alice"):
        model_id = train_model(data, epochs=1).model_id
        batch_predict(["hers"], model_id)
    with in_job(user="bob"), pytest.raises(Fatal, match="You have no model"):
        batch_predict(["not his"], model_id)


def test_an_unknown_model_fails_at_once_and_says_what_to_do() -> None:
    with pytest.raises(Fatal, match=r"You have no model 'model_0'\. Train one with train-model"):
        batch_predict(["a"], "model_0")


@pytest.mark.parametrize("model_id", ["../alice/models/m", "a.b", "", "x" * 65])
def test_a_model_id_that_could_be_a_path_is_refused_at_submit(model_id: str) -> None:
    with pytest.raises(InvalidParameters):
        JobType.of(batch_predict).parameters.validate({"texts": ["a"], "model_id": model_id})


def test_a_stored_model_holds_no_pickle(data: TrainingData) -> None:
    model = models.find_model(train_model(data, epochs=1).model_id)
    with np.load(io.BytesIO(model.dump()), allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays.files} == {
            "about": "u",
            "columns": "i",
            "weights": "f",
            "intercepts": "f",
        }
    again = Classifier.load(model.dump())
    assert again.predict(["salt", "goal"]) == model.predict(["salt", "goal"])


# --- the model that ships, and batch-predict --------------------------------------


def test_the_shipped_model_is_trained_on_the_shipped_data() -> None:
    ships, trained = default_model(), train_default_model()
    assert ships.labels == trained.labels
    assert (ships.columns == trained.columns).all()
    assert np.allclose(ships.weights, trained.weights, atol=1e-4)


def test_a_process_that_predicts_does_not_import_scikit_learn() -> None:
    script = "import sys; from jobs.predictions import predict; predict('fine'); sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3]).returncode == 0


def test_the_shipped_model_distinguishes_praise_from_complaint() -> None:
    answer = batch_predict(["What a wonderful, friendly place!", "Broken, rude and a waste of money."])
    assert [prediction.label for prediction in answer.predictions] == ["positive", "negative"]
    assert answer.model_id == "default"


def test_a_thousand_texts_report_one_percent_per_batch(in_job: Callable[..., Any]) -> None:
    with in_job() as attempt:
        answer = batch_predict([f"text {n}" for n in range(1000)])
    assert [percent for percent, _ in attempt.steps] == [float(n) for n in range(101)]
    assert [prediction.index for prediction in answer.predictions] == list(range(1000))
    assert answer.total == 1000


def test_the_last_batch_may_be_smaller(in_job: Callable[..., Any]) -> None:
    with in_job() as attempt:
        assert batch_predict(["a"] * 25).total == 25
    assert [percent for percent, _ in attempt.steps] == [0, 40, 80, 100]


@pytest.mark.parametrize("texts", [[], ["a"] * 1001, ["a" * 10_001], "a", [1]])
def test_one_to_a_thousand_texts_are_accepted(texts: Any) -> None:
    parameters = JobType.of(batch_predict).parameters
    parameters.validate({"texts": ["a"] * 1000})
    with pytest.raises(InvalidParameters):
        parameters.validate({"texts": texts})


def test_the_shipped_data_is_balanced_and_without_duplicates() -> None:
    data = shipped()
    assert len(data.texts) == len(set(data.texts)) > 250
    assert abs(data.labels.count("positive") - data.labels.count("negative")) < len(data.labels) / 20
