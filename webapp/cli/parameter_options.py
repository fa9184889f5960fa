"""Turn a job type's schema into options of a command, and their texts into the parameters of a job."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from .exits import usage

FILE_FORMAT = "file-id"
#: Up to this many choices appear beside an option; more appear in its help.
FEW_CHOICES = 6

_METAVARS = {"integer": "INTEGER", "number": "NUMBER", "string": "TEXT"}
_INTEGER = re.compile(r"-?[0-9]+")

Schema = dict[str, Any]


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine to upload, in the place of a `file_id`."""

    path: Path


@dataclass(frozen=True)
class ParameterOption:
    """One parameter of a job type, as an option."""

    name: str
    flag: str
    #: The name under which click passes its value.
    key: str
    schema: Schema
    definitions: Mapping[str, Schema]
    required: bool

    def as_click(self) -> click.Option:
        kind = self._kind(self.schema)
        help_text = self._help()
        if kind == "boolean":
            return click.Option([self.key, f"{self.flag}/--no-{self.flag[2:]}"], default=None, help=help_text)
        many = kind == "array"
        item = self._plain(self.schema).get("items", {}) if many else self.schema
        return click.Option([self.key, self.flag], multiple=many, metavar=self._metavar(item), help=help_text)

    def value(self, given: Any) -> Any:
        """Return the JSON value of an option's text. The job type refuses a text that could not be converted."""
        if isinstance(given, tuple):
            item = self._plain(self.schema).get("items", {})
            return [self._read(text, item) for text in given]
        return given if isinstance(given, bool) else self._read(given, self.schema)

    def _read(self, text: str, schema: Schema) -> Any:
        plain = self._plain(schema)
        if plain.get("format") == FILE_FORMAT and text.startswith("@"):
            return LocalFile(Path(text[1:]))
        kind = self._kind(schema)
        if kind == "string":
            return text
        if kind == "integer":
            return int(text) if _INTEGER.fullmatch(text) and len(text) < 1_000 else text
        if kind in ("array", "object"):
            return json_text(text, self.flag)
        try:
            return json.loads(text)
        except ValueError:
            return text  # a union may accept text

    def _plain(self, schema: Schema) -> Schema:
        """Follow references, and return the schema of an optional value without null."""
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        branches = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
        return self._plain(branches[0]) if len(branches) == 1 else schema

    def _kind(self, schema: Schema) -> str:
        kind = self._plain(schema).get("type")
        return kind if isinstance(kind, str) else "any"

    def _choices(self, schema: Schema) -> list[str]:
        plain = self._plain(schema)
        choices = plain.get("enum", [plain["const"]] if "const" in plain else [])
        return [each if isinstance(each, str) else json.dumps(each) for each in choices]

    def _metavar(self, schema: Schema) -> str:
        choices = self._choices(schema)
        if 0 < len(choices) <= FEW_CHOICES:
            return f"[{'|'.join(choices)}]"
        if self._plain(schema).get("format") == FILE_FORMAT:
            return "FILE_ID|@PATH"
        return _METAVARS.get(self._kind(schema), "JSON|@PATH" if self._kind(schema) in ("object", "array") else "JSON")

    def _help(self) -> str:
        plain = self._plain(self.schema)
        items = plain.get("items", {})
        parts = [self.schema.get("description") or plain.get("description") or items.get("description") or ""]
        choices = self._choices(self.schema) or self._choices(items)
        if len(choices) > FEW_CHOICES:
            parts.append(f"One of {', '.join(choices)}.")
        if self._kind(self.schema) == "array":
            parts.append("Repeatable.")
        default = self.schema.get("default")
        if self.required:
            parts.append("[required]")
        elif default is not None:
            shown = default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)
            parts.append(f"[default: {shown}]")
        return "  ".join(part for part in parts if part)


def parameter_options(schema: Schema, taken: set[str]) -> list[ParameterOption]:
    """Return an option for each parameter. A name that is in `taken` becomes `--param-NAME`."""
    options = []
    for place, (name, part) in enumerate(schema.get("properties", {}).items()):
        flag = "--" + name.strip("_").lower().replace("_", "-")
        if flag in taken:
            flag = f"--param-{flag[2:]}"
        required = name in schema.get("required", ())
        options.append(ParameterOption(name, flag, f"param_{place}", part, schema.get("$defs", {}), required))
    return options


def json_text(text: str, flag: str) -> Any:
    """Read JSON from the option itself, from a file (`@PATH`) or from standard input (`@-`)."""
    if text.startswith("@"):
        text = _contents(text[1:], flag)
    try:
        return json.loads(text)
    except ValueError as error:
        usage(f"{flag} is not valid JSON: {error}.")


def local_files(value: Any) -> Iterator[LocalFile]:
    """Find the local files in parameters."""
    if isinstance(value, LocalFile):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from local_files(part)


def with_files(value: Any, file_id: Callable[[LocalFile], str]) -> Any:
    """Return the value with a file ID in the place of each local file."""
    if isinstance(value, LocalFile):
        return file_id(value)
    if isinstance(value, dict):
        return {name: with_files(part, file_id) for name, part in value.items()}
    return [with_files(part, file_id) for part in value] if isinstance(value, list) else value


def _contents(path: str, flag: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text()
    except OSError as error:
        usage(f"{flag}: {path} can't be read: {error.strerror}.")
    except UnicodeDecodeError:
        usage(f"{flag}: {path} is not UTF-8 text.")
