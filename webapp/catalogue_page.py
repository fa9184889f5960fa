"""Write docs/catalogue.md, the reference of the included job types, from their functions.

python -m webapp.catalogue_page
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from jobs.engine.catalogue.catalogue import Catalogue
from jobs.engine.catalogue.job_type import JobType

from .rule_words import rules_in_words
from .schema_words import FILE, Schema, example, named_parts, words

PAGE = Path(__file__).parents[1] / "docs" / "catalogue.md"
PACKAGES = ("jobs",)

HEAD = """\
<!-- Written by `python -m webapp.catalogue_page` from the functions in jobs/. Change them there. -->
# The included job types

Each job type is a function in `jobs/`. `GET /api/v1/job-types` returns the same information with complete JSON
Schemas.

In the calls, `$API` is the address of the API (`http://127.0.0.1:8000/api/v1`) and `$KEY` an API key. A `file`
parameter takes the `file_id` of an uploaded file:

```sh
curl -s $API/files -H "Authorization: Bearer $KEY" -F file=@contract.pdf
FILE=…    # the file_id in the response
```
"""


def page(catalogue: Catalogue) -> str:
    """Return the whole page as Markdown."""
    contents = "\n".join(f"- [{name}](#{name}): {job_type.summary}" for name, job_type in catalogue.items())
    return "\n".join([HEAD, contents, "", *(section(job_type) for job_type in catalogue.values())])


def section(job_type: JobType) -> str:
    """Return the section of one job type: its description, parameters, result and an example call."""
    parts = [f"## {job_type.name}", job_type.summary, _unwrapped(job_type.description), _how_it_runs(job_type)]
    parts += [_table("parameter", job_type.parameters.schema), "**Result:** " + _result(job_type), _call(job_type)]
    return "\n\n".join(part for part in parts if part) + "\n"


def example_call(job_type: JobType) -> Schema:
    """Return valid parameters, with only the required ones."""
    sent: Schema = example(job_type.parameters.schema, job_type.parameters.schema.get("$defs", {}))
    return sent


def _unwrapped(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _how_it_runs(job_type: JobType) -> str:
    attempts = "1 attempt" if job_type.max_attempts == 1 else f"up to {job_type.max_attempts} attempts"
    needs = f" Needs a worker that can {', '.join(job_type.needs)}." if job_type.needs else ""
    reuse = f" One process serves up to {job_type.reuse} attempts." if job_type.reuse > 1 else ""
    sentences = [f"Priority {job_type.priority}, {attempts} of up to {job_type.timeout} s.{needs}{reuse}"]
    return " ".join([*sentences, *rules_in_words(job_type)])


def _table(heading: str, schema: Schema) -> str:
    rows = [f"| `{name}` | {text} | {note} |" for name, text, note in named_parts(schema, schema.get("$defs", {}))]
    return (
        "\n".join([f"| {heading} | type | |", "|---|---|---|", *rows]) if rows else "This job type has no parameters."
    )


def _result(job_type: JobType) -> str:
    schema = job_type.result.schema
    rows = [f"| `{name}` | {text} | {note} |" for name, text, note in named_parts(schema, schema.get("$defs", {}))]
    if not rows:
        return words(schema, schema.get("$defs", {}))
    return "\n".join(["an object", "", "| field | type | |", "|---|---|---|", *rows])


def _call(job_type: JobType) -> str:
    body = json.dumps(example_call(job_type), ensure_ascii=False).replace(f'"{FILE}"', "\"'$FILE'\"")
    call = f"""\
        ```sh
        curl -s $API/jobs/{job_type.name} -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
          -d '{body}'
        ```"""
    return textwrap.dedent(call)


def main() -> None:
    PAGE.write_text(page(Catalogue.discover(PACKAGES)), encoding="utf-8")


if __name__ == "__main__":
    main()
