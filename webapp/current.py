"""The current request, its globals and its app, without Flask's proxies.

An access through `request`, `g` or `current_app` takes 1.5 µs, and a request made about 40 of them. The code that every
request runs uses these functions instead, which take 0.2 µs (`LocalProxy._get_current_object` of Werkzeug, which
recommends it for that purpose).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, current_app, g, request

current_request: Callable[[], Request] = request._get_current_object  # type: ignore[attr-defined]
#: Returns what `g` stands for.
current_globals: Callable[[], Any] = g._get_current_object
app_of_request: Callable[[], Flask] = current_app._get_current_object  # type: ignore[attr-defined]
