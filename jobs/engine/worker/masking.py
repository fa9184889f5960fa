"""Mask secrets, and paths of this machine, in a text that clients may read.

The time for each pattern grows linearly with the text: an attempt to match that fails has read only a few characters,
or characters that no other attempt reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from jobs.engine.settings import Settings

SECRET, PATH = "[secret]", "[path]"

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
#: Keys that are known by their first characters: ours, and those of well-known services.
_KEY = re.compile(
    r"""(?<=Bearer\ )[\w.\-]+
    | -----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY-----[^-]*
    | (?<![A-Za-z0-9])(?:
        wh_[A-Za-z0-9_]{16,}
      | whsec_[\w+/=\-]{4,}
      | sk-[\w\-]{16,}
      | [rs]k_(?:live|test)_\w{8,}
      | (?:AKIA|ASIA)[0-9A-Z]{16}
      | AIza[\w\-]{30,}
      | gh[oprsu]_[A-Za-z0-9]{16,}
      | github_pat_\w{16,}
      | glpat-[\w\-]{16,}
      | hf_[A-Za-z0-9]{20,}
      | npm_[A-Za-z0-9]{20,}
      | xox[a-z]-[\w\-]{10,}
      )
    | (?<![\w\-])eyJ[\w\-]{8,}\.[\w\-]+\.[\w\-]*
    """,
    re.VERBOSE,
)
#: A name with one of these words, such as `password`, `token_id` or `secretKey`, and its value. `tokens` and
#: `tokenizer` are not names of secrets.
_NAMED = re.compile(
    r"""(?i:passwords?|passwd|passphrase|secrets?|token|(?:api|access|private)[ _\-]?keys?)(?![a-z])[\w\-]{0,40}
    (?:\\?["'])?[ \t]*(?:=>|={1,3}|:=?(?!:))[ \t]*
    (?P<value>"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\S+)""",
    re.VERBOSE | re.DOTALL,
)
#: A value that begins with one of these words is text: "password: required field", "token: must be a string". They are
#: also shown where they are the whole value, as in "secret=None".
_PROSE = frozenset(
    (
        "a an and any are at but by can can't cannot could denied did does doesn't empty expected expired "
        "extra false field for from has have if in incorrect input invalid is isn't it malformed may mismatch "
        "missing must need needs no none not nothing null of on only or please rejected required revoked "
        "should the there this to too true undefined unknown unset use value was with without wrong you your"
    ).split()
)
#: What follows a value in a sentence or in a list.
_BEHIND = ",;.)]}>\"'"

_LOCAL = re.compile(r"(?:(?<![\w:/.])|(?<=file://))/(?P<root>[\w.\-]+)(?:/[\w.\-@+]+)+/?")
_HOME = re.compile(r"(?<![\w/~.])~(?:[A-Za-z_][\w.\-]*)?(?:/[\w.\-@+]+)+/?")
#: A folder's name may have spaces, and a file's name ends at the first one.
_WINDOWS = re.compile(r"""(?<![A-Za-z0-9])[A-Za-z]:\\+(?:[^\\/:*?"<>|\r\n]+[\\/]+)*[^\s\\/:*?"<>|,;']*""")


def masked(text: str, settings: Settings) -> str:
    """Return `text` without paths of this machine and without secrets."""
    for secret in _secrets(settings):
        text = text.replace(secret, SECRET)
    text = _CREDENTIALS.sub(f"{SECRET}@", text)
    text = _KEY.sub(SECRET, text)
    text = _NAMED.sub(_without_value, text)
    text = _WINDOWS.sub(PATH, text)
    text = _HOME.sub(PATH, text)
    return _LOCAL.sub(_hidden_path, text)


def _without_value(match: re.Match[str]) -> str:
    value = match["value"]
    if value[0] in "\"'":
        return _before_value(match) + (value if len(value) < 3 else f"{value[0]}{SECRET}{value[0]}")
    word = value.rstrip(_BEHIND)
    if word.lower() in _PROSE or not re.search(r"\w", word) or value.startswith(SECRET):
        return match[0]
    return _before_value(match) + SECRET + value[len(word) :]


def _before_value(match: re.Match[str]) -> str:
    return match[0][: match.start("value") - match.start()]


def _hidden_path(match: re.Match[str]) -> str:
    # It is a path only if it begins in a folder of this machine; /texts/3 is a JSON Pointer.
    return PATH if Path("/", match["root"]).is_dir() else match[0]


def _secrets(settings: Settings) -> Iterable[str]:
    keys = (settings.secret_key, settings.admin_api_key, settings.llm_api_key)
    candidates = (*keys, *settings.kept_secrets(), settings.redis_url, settings.smtp_url)
    return (secret for secret in candidates if secret)
