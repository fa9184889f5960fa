"""Compile each URL rule and each template once in a test process, although every test makes its own app."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule


@contextmanager
def rules_compiled_once() -> Iterator[None]:
    """Share what a rule is compiled to: its parts, its converters, and the functions that build its URLs.

    They depend only on what is in the key; see `compile` in routing/rules.py of Werkzeug 3.1.9.
    """
    compiled: dict[Any, dict[str, Any]] = {}
    compile_rule = Rule.compile

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        options = (rule.map.host_matching, rule.merge_slashes, rule.strict_slashes, rule.websocket)
        key = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), options)
        if key not in compiled:
            compile_rule(rule)
            compiled[key] = {name: getattr(rule, name) for name in ("_parts", "_trace", "_converters", "arguments")}
            compiled[key] |= {name: getattr(rule, name).__func__ for name in ("_build", "_build_unknown")}
            return
        for name, value in compiled[key].items():
            setattr(rule, name, value.__get__(rule) if name.startswith("_build") else value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "compile", compile_once)
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
