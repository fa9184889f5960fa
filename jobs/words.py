"""Choosing words worth learning from a text, offline, by lemma and word frequency.

A word is worth more if the text uses it often and if it is near the middle of the frequency scale: neither a word that
every learner knows, nor one that is very rare. Names are left out if they can be recognised by capitals and a
dictionary of word forms.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

#: Languages that have word forms (simplemma) and frequencies (wordfreq), and that separate words by spaces.
Language = Literal[
    "bg", "ca", "cs", "da", "de", "el", "en", "es", "fi", "fr", "hu", "id", "is", "it",
    "lt", "lv", "mk", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr", "uk",
]  # fmt: skip

#: On wordfreq's Zipf scale (3: once in a million words; 6: once in a thousand).
EASIEST_ZIPF = 5.3
RAREST_ZIPF = 1.8
#: The best frequency to learn: common enough to meet again, rare enough to be new.
BEST_ZIPF = 4.0

SHORTEST_WORD = 3
EXAMPLE_CHARACTERS = 300

_WORD = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[»”\"')\]]*\s+(?=[¿¡«“\"'(]*[^\W\d_a-z])|\n+")


@dataclass(frozen=True)
class Candidate:
    """A word of a text, with the reasons to learn it."""

    #: In its most frequent form in the text; in lower case unless it is always written with a capital.
    word: str
    lemma: str
    #: How often the text uses any form of it.
    count: int
    #: How common the lemma is in its language, on the Zipf scale from 0 to 8.
    frequency: float
    #: The first sentence that uses it.
    example: str

    @property
    def score(self) -> float:
        """Rate the word: higher is better to learn."""
        return float((1 + min(self.count, 5) / 5) / (1 + abs(self.frequency - BEST_ZIPF)))


def candidates(text: str, language: Language, known: Collection[str] = ()) -> list[Candidate]:
    """List the words of the text that are worth learning, the best first, without those whose lemma is `known`."""
    forms, examples = _forms_by_lemma(text, language)
    found = (_candidate(lemma, forms[lemma], examples[lemma], language) for lemma in forms if lemma not in known)
    worth = [c for c in found if RAREST_ZIPF <= c.frequency <= EASIEST_ZIPF]
    return sorted(worth, key=lambda c: (-c.score, c.lemma))


def lemma_of(word: str, language: Language) -> str:
    """Return the dictionary form of a word, in lower case."""
    import simplemma

    return str(simplemma.lemmatize(word, lang=language)).lower()


def lemmas_of(text: str, language: Language) -> Counter[str]:
    """Count the lemmas of a text."""
    forms, _ = _forms_by_lemma(text, language)
    return Counter({lemma: sum(words.values()) for lemma, words in forms.items()})


def example_of(word: str, text: str) -> str:
    """Return the first sentence of the text that uses the word, or an empty string."""
    wanted = word.casefold()
    return next((s for s in _sentences(text) if wanted in s.casefold()), "")[:EXAMPLE_CHARACTERS]


def frequency_of(lemma: str, language: Language) -> float:
    """Return how common a lemma is, on the Zipf scale. 0 if it is unknown."""
    import wordfreq

    return float(wordfreq.zipf_frequency(lemma, language))


def _candidate(lemma: str, forms: Counter[str], example: str, language: Language) -> Candidate:
    word = forms.most_common(1)[0][0]
    # If a form is common and its lemma is rare, the lemma is probably wrong. Use the higher frequency.
    frequency = max(frequency_of(lemma, language), frequency_of(word, language))
    return Candidate(word, lemma, sum(forms.values()), frequency, example)


def _forms_by_lemma(text: str, language: Language) -> tuple[dict[str, Counter[str]], dict[str, str]]:
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    examples: dict[str, str] = {}
    names = _names(text, language)
    for sentence in _sentences(text):
        for word in _WORD.findall(sentence):
            if len(word) < SHORTEST_WORD or word in names:
                continue
            lemma = lemma_of(word if language == "de" else word.lower(), language)
            forms[lemma][word if language == "de" else word.lower()] += 1
            examples.setdefault(lemma, sentence[:EXAMPLE_CHARACTERS])
    return dict(forms), examples


def _names(text: str, language: Language) -> set[str]:
    """Find the words that the text always writes with a capital, and at least once inside a sentence.

    German writes every noun with a capital. There, a word is a name if the dictionary does not contain it.
    """
    import simplemma

    starts, inside = Counter[str](), Counter[str]()
    for sentence in _sentences(text):
        for position, word in enumerate(_WORD.findall(sentence)):
            (inside if position else starts)[word] += 1
    capitals = {word for word in {*starts, *inside} if word[0].isupper() and word.lower() not in inside}
    if language == "de":
        return {word for word in capitals if not simplemma.is_known(word, lang="de")}
    unknown = {word for word in capitals if not simplemma.is_known(word.lower(), lang=language)}
    return {word for word in capitals if inside[word]} | unknown


def _sentences(text: str) -> Iterator[str]:
    for sentence in _SENTENCE_END.split(text):
        if stripped := " ".join(sentence.split()):
            yield stripped
