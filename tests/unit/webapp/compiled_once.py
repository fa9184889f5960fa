"""Compile each URL rule and each template once in a test process, although every test makes its own app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


@contextmanager
def rules_compiled_once() -> Iterator[None]:
    """Share the functions that build the URLs of a rule. They depend on nothing else of the rule or of its app.

    See `_compile_builder` in routing/rules.py of Werkzeug 3.1.9.
    """
    compiled: dict[Any, Callable[..., Any]] = {}
    compile_builder = Rule._compile_builder

    def compile_once(rule: Rule, append_unknown: bool = True) -> Callable[..., Any]:
        if rule.defaults:
            return compile_builder(rule, append_unknown)
        key = (append_unknown, *rule._trace)
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_once)
        yield


@contextmanager
def templates_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Flask.jinja_options, "bytecode_cache", InMemory())
        yield


class InMemory(BytecodeCache):
    """The compiled templates of all apps of this process. A changed template has another checksum."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if found := self._compiled.get(bucket.key):
            bucket.bytecode_from_string(found)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()
