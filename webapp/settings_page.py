"""Write docs/settings.md, the reference of all settings, from the settings class.

python -m webapp.settings_page
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.engine.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """\
<!-- Written by `python -m webapp.settings_page` from jobs/engine/settings.py. Change it there. -->
# Settings

Settings are environment variables, and all of them are optional. An empty value counts as not set. Separate the names
in a list with commas. If a value is bad, the process does not start, and it reports all bad values at once.

`.venv/bin/python worker.py --check` prints the settings in force, with secrets hidden.
"""

#: Each heading, with the first setting below it. The settings keep the order of the class.
SECTIONS = {
    "redis_url": "Broker and storage",
    "port": "Web server",
    "secret_key": "Users and limits",
    "job_packages": "Job functions",
    "workers": "Workers and sizes",
    "result_ttl": "How long things are kept",
    "smtp_url": "Mail",
    "llm_base_url": "Language model",
}

_DEFAULTS = {"workers": "number of CPUs", "data_dir": "`./var`"}
_DAY_SECONDS = 86_400
_MEBIBYTE = 1_048_576


def page() -> str:
    """Return the whole page as Markdown."""
    lines = [HEAD.rstrip()]
    for name, schema in Settings.model_json_schema()["properties"].items():
        if name in SECTIONS:
            lines += [f"\n## {SECTIONS[name]}\n", "| variable | default | meaning |", "|---|---|---|"]
        lines.append(f"| `{name.upper()}` | {shown_default(name)} | {schema['description']}{_allowed(schema)} |")
    return "\n".join(lines) + "\n"


def shown_default(name: str) -> str:
    """Return the default of the setting `name` as Markdown."""
    if name in _DEFAULTS:
        return _DEFAULTS[name]
    default = Settings.model_fields[name].default
    if default in (None, ()):
        return "not set"
    return f"`{_as_in_the_environment(default)}`{_in_larger_units(name, default)}"


def _as_in_the_environment(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_larger_units(name: str, value: Any) -> str:
    if name.endswith("_ttl"):
        return f" ({value // _DAY_SECONDS} days)"
    return f" ({value // _MEBIBYTE} MiB)" if name.endswith("_bytes") and value else ""


def _allowed(schema: dict[str, Any]) -> str:
    return f" Allowed: {schema['minimum']:,} to {schema['maximum']:,}." if "maximum" in schema else ""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
