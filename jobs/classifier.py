"""A small text classifier that is trained epoch by epoch and stored as plain arrays.

Words and pairs of words are hashed into a fixed number of columns, so a model consists of its weights alone. It needs
no vocabulary and no pickle, which could run code when it is read.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np

FORMAT = "workhorse-classifier-2"
COLUMNS = 2**16

#: With fewer texts than this, none are held out for measuring.
MIN_TEXTS_TO_HOLD_OUT = 10
HELD_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """The texts to train on, and the texts to measure the accuracy on. They are the same if there are few."""

    train: list[int]
    test: list[int]

    @property
    def is_held_out(self) -> bool:
        return self.train != self.test


@dataclass(frozen=True)
class Classifier:
    """Logistic regression on hashed words, with one row of weights for each label, or one row for two labels."""

    labels: tuple[str, ...]
    #: The hashed columns that have a weight.
    columns: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray

    def predict(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Return the most likely label of each text with its probability (0 to 1)."""
        chances = self._chances(texts)
        best = chances.argmax(axis=1)
        return [(self.labels[k], float(row[k])) for k, row in zip(best.tolist(), chances, strict=True)]

    def accuracy(self, texts: Sequence[str], labels: Sequence[str]) -> float:
        """Return the share of texts that get their true label."""
        guesses = [label for label, _ in self.predict(texts)]
        return sum(map(str.__eq__, guesses, labels)) / len(labels)

    def dump(self) -> bytes:
        """Write the model as a compressed npz file."""
        import numpy as np

        about = json.dumps({"format": FORMAT, "labels": self.labels})
        file = io.BytesIO()
        np.savez_compressed(
            file,
            about=np.frombuffer(about.encode(), dtype=np.uint8),
            columns=self.columns,
            weights=self.weights,
            intercepts=self.intercepts,
        )
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Classifier:
        """Read a model that `dump` wrote.

        Raises:
            ValueError: if the data is not such a model.
        """
        import numpy as np

        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about.get("format") != FORMAT:
                raise ValueError(f"this is not a {FORMAT} model")
            return cls(tuple(about["labels"]), arrays["columns"], arrays["weights"], arrays["intercepts"])

    def _chances(self, texts: Sequence[str]) -> np.ndarray:
        import numpy as np

        scores = np.stack([self._scores(text) for text in texts])
        chances = 1 / (1 + np.exp(-np.clip(scores, -60, 60)))
        if len(self.labels) == 2:
            return np.hstack([1 - chances, chances])
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))

    def _scores(self, text: str) -> np.ndarray:
        import numpy as np

        features = _features(text)
        columns = np.fromiter(features.keys(), dtype=np.int32, count=len(features))
        values = np.fromiter(features.values(), dtype=np.float64, count=len(features))
        places = np.searchsorted(self.columns, columns)
        known = np.isin(columns, self.columns)
        return np.asarray(self.weights[:, places[known]] @ values[known] + self.intercepts)


def split(labels: Sequence[str], seed: int) -> Split:
    """Hold out a fifth of the texts, with the same share of each label, unless there are too few."""
    everything = list(range(len(labels)))
    if len(labels) < MIN_TEXTS_TO_HOLD_OUT or min(Counter(labels).values()) < 2:
        return Split(everything, everything)
    from sklearn.model_selection import train_test_split

    # At least one text of each label is in both parts.
    held_out = max(len(set(labels)), round(len(labels) * HELD_OUT_SHARE))
    train, test = train_test_split(everything, test_size=held_out, stratify=list(labels), random_state=seed)
    return Split(sorted(train), sorted(test))


def majority_share(train_labels: Sequence[str], test_labels: Sequence[str]) -> float:
    """Return the accuracy of always guessing the most frequent training label. A model must beat it."""
    guess = Counter(train_labels).most_common(1)[0][0]
    return sum(label == guess for label in test_labels) / len(test_labels)


def train(texts: Sequence[str], labels: Sequence[str], epochs: int, seed: int) -> Iterator[Classifier]:
    """Train on all texts once per epoch, in a new order each time. Yield the model after each epoch."""
    import numpy as np
    from sklearn.linear_model import SGDClassifier

    features, known, order = _hashed(texts), np.array(sorted(set(labels))), np.random.default_rng(seed)
    learner = SGDClassifier(loss="log_loss", alpha=1e-4, shuffle=False, random_state=seed)
    answers = np.array(labels)
    used = np.unique(features.indices).astype(np.int32)
    for _ in range(epochs):
        turn = order.permutation(len(answers))
        learner.partial_fit(features[turn], answers[turn], classes=known)
        weights = learner.coef_[:, used].astype(np.float32)
        yield Classifier(tuple(known.tolist()), used, weights, learner.intercept_.astype(np.float32))


def _hashed(texts: Sequence[str]) -> Any:
    from scipy.sparse import csr_matrix

    rows = [_features(text) for text in texts]
    starts = [0, *accumulate(map(len, rows))]
    columns = [column for row in rows for column in row]
    values = [value for row in rows for value in row.values()]
    return csr_matrix((values, columns, starts), shape=(len(rows), COLUMNS), dtype=float)


def _features(text: str) -> dict[int, float]:
    """Count how often the words and pairs of words of a text fall into each column, scaled to a vector of length 1.

    scikit-learn's HashingVectorizer does the same. A process that only predicts doesn't have to import scikit-learn,
    which takes a second and 100 MB.
    """
    # Single letters count, too ("I", Chinese), so a word is any run of word characters.
    words = re.findall(r"\w+", text.lower())
    counts: dict[int, float] = defaultdict(float)
    for gram in chain(words, map(" ".join, pairwise(words))):
        digest = crc32(gram.encode("utf-8", "surrogatepass"))
        # Because of the signs, words that share a column by accident cancel out on average.
        counts[digest % COLUMNS] += 1 if digest >> 31 else -1
    length = math.sqrt(sum(count * count for count in counts.values()))
    return {column: count / length for column, count in sorted(counts.items()) if count}
