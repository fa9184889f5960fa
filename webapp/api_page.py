"""Write the tables in docs/http-api.md: the options of a submission, the fields of a job, and the error codes.

python -m webapp.api_page
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path

from jobs.engine.errors import WorkhorseError

from .options import OPTIONS
from .problems import STATUSES, status_of
from .resource_table import job_fields

PAGE = Path(__file__).parents[1] / "docs" / "http-api.md"


def options_table() -> str:
    """Return a table of the query parameters of a submission."""
    return _table(("option", "meaning"), ((f"`{option.name}`", option.explanation) for option in OPTIONS))


def fields_table() -> str:
    """Return a table of the fields of the job resource."""
    rows = ((f"`{field.name}`", field.type, field.description) for field in job_fields())
    return _table(("field", "type", "meaning"), rows)


def codes_table() -> str:
    """Return a table of the codes of all errors that a client can get, by status."""
    order = [*dict.fromkeys(STATUSES.values())]
    errors = sorted(_client_errors(), key=lambda error: order.index(status_of(error)))
    rows = ((str(int(status_of(error))), f"`{error.code}`", _sentence(error)) for error in errors)
    return _table(("status", "code", "meaning"), rows)


TABLES = {"options": options_table, "fields": fields_table, "codes": codes_table}


def page(text: str) -> str:
    """Return the page with its tables written again. Each is between two comments that name it."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name}: written by `python -m webapp.api_page` -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE.name} has no place for the table of {name}")
        text = f"{before}{start}\n{table()}\n{end}{after}"
    return text


def _client_errors() -> Iterator[type[WorkhorseError]]:
    pending: list[type[WorkhorseError]] = [WorkhorseError]
    while pending:
        error = pending.pop(0)
        pending += error.__subclasses__()
        if status_of(error) is not HTTPStatus.INTERNAL_SERVER_ERROR:
            yield error


def _sentence(error: type[WorkhorseError]) -> str:
    return re.sub(r"\s+", " ", error.__doc__ or "").strip()


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
