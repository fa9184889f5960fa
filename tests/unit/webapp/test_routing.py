"""The routes that are found with one look-up: the same as Werkzeug finds."""

from __future__ import annotations

import pytest
from flask import Flask, Request
from werkzeug.exceptions import HTTPException

from webapp.application import App
from webapp.routing import Routes

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
VALUES = ("stream", "bulk", "6f1c0a9e", "a b", "caf\u00e9", "a/b", "", "..", "x\n")


def found_by(kind: type[Flask], app: Flask, method: str, path: str) -> object:
    """Return the rule that this kind of app finds, or the error that it raises."""
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path.encode().decode("latin-1"), "HTTP_HOST": "localhost"}
    adapter = kind.create_url_adapter(app, Request(environ | {"wsgi.url_scheme": "http"}))
    assert adapter is not None
    try:
        return adapter.match(return_rule=True)
    except HTTPException as error:
        return type(error), sorted(getattr(error, "valid_methods", None) or ())


def paths_of(app: Flask) -> list[str]:
    paths = {"/", "//", "/api", "/api/v1/jobs/", "/nowhere", "/static/a/b.js"}
    for rule in app.url_map.iter_rules():
        beginning, variable, end = rule.rule.partition("<")
        paths |= {rule.rule, f"{rule.rule}/"}
        if variable:
            paths |= {f"{beginning}{value}{end.partition('>')[2]}" for value in VALUES}
    return sorted(paths)


@pytest.mark.parametrize("method", METHODS)
def test_every_address_has_the_route_that_werkzeug_finds(app: Flask, method: str):
    different = [
        path for path in paths_of(app) if found_by(App, app, method, path) != found_by(Flask, app, method, path)
    ]
    assert different == []


def test_usual_addresses_are_found_with_one_look_up(app: Flask):
    routes = app.url_map
    assert isinstance(routes, Routes)
    show, rest = routes.usual("GET", "/api/v1/jobs/6f1c0a9e") or (None, None)
    assert show is not None and show.endpoint == "jobs.show" and rest == {"job_id": "6f1c0a9e"}
    page, rest = routes.usual("GET", "/api/v1/jobs") or (None, None)
    assert page is not None and page.endpoint == "jobs.page" and rest == {}


def test_a_route_that_is_added_later_is_found():
    app = type("Later", (Flask,), {"url_map_class": Routes})("later")
    assert app.url_map.usual("GET", "/late") is None
    app.add_url_rule("/late", "late", lambda: "late")
    assert app.url_map.usual("GET", "/late") is not None
