"""Read the head of an ordinary request with one pattern: gunicorn takes ten times as many steps.

gunicorn's own parser (27.0.1, http/message.py) reads every other head, and makes all refusals.
"""

from __future__ import annotations

import re
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser

#: A method, a path with or without a query, and fields. gunicorn has a policy for names with an underscore.
_ORDINARY = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/(?!/)[!\"$-~]*+) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^`|~0-9A-Za-z-]++:[\t -~\x80-\xff]*+\r\n)++)\r\n"
)


class QuickRequest(Request):  # type: ignore[misc]  # gunicorn ships no types
    def _parse_python(self, unreader: Any, buf: bytearray) -> Any:
        head = _ORDINARY.match(buf)
        if head is None or head.end() > min(self.limit_request_line, self.limit_request_field_size):
            return super()._parse_python(unreader, buf)
        method, target, lines = (part.decode("latin-1") for part in head.groups())
        parts = [line.partition(":") for line in lines.split("\r\n")[:-1]]
        fields = {name.upper(): value.strip(" \t") for name, _, value in parts}
        if len(fields) < len(parts) or len(fields) > self.limit_request_fields:
            return super()._parse_python(unreader, buf)
        self.method, self.uri, self.version, self.fragment = method, target, (1, 1), ""
        path, _, query = target.partition("?")
        self.path, self.query = path, query
        self.headers = list(fields.items())
        self._heed(fields)
        return bytes(buf[head.end() :])

    def _heed(self, fields: dict[str, str]) -> None:
        """Have gunicorn act on the fields that it has a policy for: Expect, and those of a proxy that ends TLS."""
        named = [name for name in ("EXPECT", *self.cfg.secure_scheme_headers) if name in fields]
        if named:
            seen: set[str] = set()
            policy = ([False], seen, *self._peer_trusted_for_forwarded())
            for name in named:
                self._apply_header_policy(name, fields[name], *policy)


class QuickParser(RequestParser):  # type: ignore[misc]  # gunicorn ships no types
    mesg_class = QuickRequest

    def finish_body(self, deadline: Any = None, max_bytes: Any = None) -> Any:
        """Return True at once if the last body has been read: gunicorn would set timeouts, and read nothing."""
        body = self.mesg and self.mesg.body
        if isinstance(body, Body) and isinstance(body.reader, LengthReader) and not (body.reader.length or body.failed):
            return True
        return super().finish_body(deadline, max_bytes)
