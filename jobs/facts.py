"""Finding the dates, amounts, e-mail addresses and headings of a text by rule, and normalising them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation

from pydantic import BaseModel, Field

MAX_EACH = 200
MAX_HEADING_CHARACTERS = 100

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY"}
CODES = ("EUR", "USD", "GBP", "CHF", "JPY", "CAD", "AUD", "SEK", "NOK", "DKK", "PLN", "MXN")

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"\b(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}\.\d{{1,2}}\.\d{{4}}|\d{{1,2}} {_MONTH} \d{{4}}|{_MONTH} \d{{1,2}}, \d{{4}})\b",
    re.IGNORECASE,
)
_NUMBER = r"\d{1,15}(?:[.,' ]\d{3})*(?:[.,]\d{1,2})?(?!\d)"
_CURRENCY = rf"(?:{'|'.join(CODES)}|[{''.join(SIGNS)}])"
_AMOUNT = re.compile(rf"{_CURRENCY} ?{_NUMBER}|(?<![\d.,]){_NUMBER} ?{_CURRENCY}(?!\w)")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_NUMBERED = re.compile(r"\d{1,2}(\.\d{1,2}){0,3}\.? +[^\W\d].*")


class Found(BaseModel):
    """The facts of a text, as they are written there."""

    dates: list[str] = Field(default=[], description="Every date, as it is written in the text.")
    amounts: list[str] = Field(
        default=[], description="Every amount of money with its currency, as it is written in the text."
    )
    emails: list[str] = Field(default=[], description="Every e-mail address.")
    headings: list[str] = Field(default=[], description="The headings, in the order of the text.")


class Amount(BaseModel):
    value: Decimal
    #: An ISO 4217 code.
    currency: str


class Facts(BaseModel):
    """The facts of a text, normalised and without duplicates."""

    dates: list[date]
    amounts: list[Amount]
    emails: list[str]
    headings: list[str]


def find(text: str) -> Found:
    """Find the facts of a text by rule."""
    return Found(
        dates=_DATE.findall(text),
        amounts=_AMOUNT.findall(text),
        emails=_EMAIL.findall(text),
        headings=[line.strip() for line in text.splitlines() if _is_heading(line.strip())],
    )


def normalise(found: Found) -> Facts:
    """Normalise the facts. Leave out those that are invalid, such as 31 February."""
    dates = sorted({day for text in found.dates if (day := _day(text))})
    amounts = {(amount.value, amount.currency): amount for text in found.amounts if (amount := _amount(text))}
    return Facts(
        dates=dates[:MAX_EACH],
        amounts=list(amounts.values())[:MAX_EACH],
        emails=_once(email.lower() for email in found.emails if _EMAIL.fullmatch(email)),
        headings=_once(" ".join(heading.split())[:MAX_HEADING_CHARACTERS] for heading in found.headings),
    )


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))[:MAX_EACH]


def _is_heading(line: str) -> bool:
    if not 3 <= len(line) <= MAX_HEADING_CHARACTERS or line[-1] in ".,;:!?":
        return False
    return bool(_NUMBERED.fullmatch(line)) or (line.isupper() and any(map(str.isalpha, line)))


def _day(text: str) -> date | None:
    words = re.findall(r"\d+|[a-z]+", text.lower())
    month = next((MONTHS.index(word[:3]) + 1 for word in words if word[:3] in MONTHS), None)
    numbers = [int(word) for word in words if word.isdigit()]
    try:
        if month is not None:
            day, year = numbers
            return date(year, month, day)
        first, second, third = numbers
        return date(first, second, third) if first > 31 else date(third, second, first)
    except ValueError:
        return None


def _amount(text: str) -> Amount | None:
    currency = next((code for code in CODES if code in text), None) or next(
        (code for sign, code in SIGNS.items() if sign in text), None
    )
    digits = re.search(r"\d[\d.,' ]*", text)
    if currency is None or digits is None:
        return None
    whole, fraction = re.fullmatch(r"(.*?)(?:[.,](\d{1,2}))?", digits[0].strip(" .,'")).groups()  # type: ignore[union-attr]  # it fits any text
    try:
        return Amount(value=Decimal(f"{re.sub(r'[^0-9]', '', whole)}.{(fraction or '0'):0<2}"), currency=currency)
    except InvalidOperation:
        return None
