"""Find the route of an address of the usual form with one look-up. Werkzeug's state machine decides on all others."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from flask import Request
from werkzeug.routing import Map, MapAdapter, Rule

#: A rule with one variable part, the last one, and without a converter.
_ONE_VARIABLE = re.compile(r"([^<]*/)<([a-z_]+)>")
#: A value of the variable part that needs no decoding.
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")

Match = tuple[Rule, dict[str, str]]


class Routes(Map):
    """The routes of an app. No rule of it has a host or redirects."""

    def add(self, rulefactory: Any) -> None:
        super().add(rulefactory)
        vars(self).pop("_usual", None)

    def usual(self, method: str, path: str) -> Match | None:
        """Return the rule of an address whose last part alone may be variable, and that part by its name."""
        whole, beginnings = self._usual
        if (rule := whole.get((method, path))) is not None:
            return rule, {}
        beginning, _, last = path.rpartition("/")
        found = beginnings.get((method, f"{beginning}/"))
        return (found[0], {found[1]: last}) if found and _PLAIN.fullmatch(last) else None

    @cached_property
    def _usual(self) -> tuple[dict[tuple[str, str], Rule], dict[tuple[str, str], tuple[Rule, str]]]:
        """Return the rules by method and path, and those with a last variable part by method and what precedes it.

        As in Werkzeug (3.1.9, routing/matcher.py), a rule without variable parts goes first.
        """
        whole: dict[tuple[str, str], Rule] = {}
        beginnings: dict[tuple[str, str], tuple[Rule, str]] = {}
        for rule in self.iter_rules():
            variable = _ONE_VARIABLE.fullmatch(rule.rule)
            for method in () if rule.websocket or rule.defaults or rule.build_only else rule.methods or ():
                if variable:
                    beginnings.setdefault((method, variable[1]), (rule, variable[2]))
                elif "<" not in rule.rule:
                    whole.setdefault((method, rule.rule), rule)
        return whole, beginnings


class Address(MapAdapter):
    """The address of one request, but not of a WebSocket. Host, scheme and query are read when needed."""

    map: Routes
    subdomain = ""
    websocket = False

    def __init__(self, routes: Routes, request: Request) -> None:
        self.map = routes
        self._request = request
        self.path_info = request.path
        self.default_method = request.method

    @cached_property
    def server_name(self) -> str:  # type: ignore[override]
        return self._request.host.lower()

    @cached_property
    def script_name(self) -> str:  # type: ignore[override]
        return f"{self._request.root_path}/"

    @cached_property
    def url_scheme(self) -> str:  # type: ignore[override]
        return self._request.scheme

    @cached_property
    def query_args(self) -> str:  # type: ignore[override]
        return self._request.query_string.decode("latin-1")

    def match(self, *args: Any, **options: Any) -> Any:
        # Flask (3.1.3, ctx.py) asks for the rule of the request itself.
        usual = self.map.usual(self.default_method, self.path_info) if options == {"return_rule": True} else None
        return usual or super().match(*args, **options)
