"""Secrets and paths are masked in texts that clients may read, and ordinary sentences stay as they are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobs.engine.settings import Settings
from jobs.engine.worker.masking import masked


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, secret_key="s" * 32)


#: Texts, and what is shown of them.
MASKED = {
    "login with password=hunter2 failed": "login with password=[secret] failed",
    "password: hunter2": "password: [secret]",
    "token: abcdef123, retried": "token: [secret], retried",
    'secret="topsecret"': 'secret="[secret]"',
    "passwd='two words' of bob": "passwd='[secret]' of bob",
    "password = swordfish": "password = [secret]",
    "DB_PASSWORD=a&b,c DEBUG=1": "DB_PASSWORD=[secret] DEBUG=1",
    "clientSecret => x-1": "clientSecret => [secret]",
    "X-API-Key: 0123abc": "X-API-Key: [secret]",
    "aws_secret_access_key=wJalr/K7": "aws_secret_access_key=[secret]",
    "access key: abc": "access key: [secret]",
    "session_token_id=12": "session_token_id=[secret]",
    "{'user': 'bob', 'token': 'a\\'b', 'n': 1}": "{'user': 'bob', 'token': '[secret]', 'n': 1}",
    '{"api_key":"abc","n":1}': '{"api_key":"[secret]","n":1}',
    'password="never closed': 'password="[secret]"',
    "api_key=sk-0123456789abcdef0123, again": "api_key=[secret], again",
    "https://host/x?token=abc": "https://host/x?token=[secret]",
    "AKIAIOSFODNN7EXAMPLE is refused": "[secret] is refused",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a": "[secret]",
    "github_pat_11ABCDEFG0123456789_abc": "[secret]",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw": "[secret]",
    "sk_live_0123456789abcdef": "[secret]",
    "xoxb-0123456789-abc": "[secret]",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln-X": "[secret]",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n": "[secret]",
    "see ~/x/y for more": "see [path] for more",
    "see ~bob/x.txt": "see [path]",
    r"no file C:\Users\bob\x.txt here": "no file [path] here",
    r"no file 'C:\\Program Files\\x.txt'": "no file '[path]'",
}

PROSE = [
    "the token is missing",
    "the token: it is missing",
    "password: required field",
    "password: Field required",
    "api_key: must be a string",
    "secret=None",
    "token: expired.",
    "at most 512 tokens: 600 were sent",
    "tokenizer: bert-base is not a model",
    "secretary: bob",
    "std::token::parse failed",
    "Unexpected token: }",
    "a password has 8 characters or more",
    "about ~5 of 10",
    "a~b/c",
    "drive c: is full",
    "the ratio is a:b",
    "/texts/3 is too long",
]


@pytest.mark.parametrize("text", MASKED)
def test_secrets_and_paths_are_masked(settings: Settings, text: str) -> None:
    assert masked(text, settings) == MASKED[text]


@pytest.mark.parametrize("text", PROSE)
def test_ordinary_sentences_stay_as_they_are(settings: Settings, text: str) -> None:
    assert masked(text, settings) == text


#: Parts that make an inefficient pattern look at the same characters again and again.
PARTS = [
    "a",
    "token",
    "token_",
    "token ",
    'token="',
    "token='\\",
    "token=\\",
    "password:",
    "eyJ",
    "eyJ-",
    "eyJa.",
    " ",
    "~a",
    "~/",
]
PARTS += [
    "C:\\",
    "C:\\a ",
    "C:\\a\\ ",
    "/a",
    "://",
    "://a",
    "wh_",
    "sk-",
    "-----BEGIN PRIVATE KEY",
    "AKIA",
    "\\",
    "=",
    "key ",
]


def seconds_for(text: str, settings: Settings) -> float:
    began = time.process_time()
    masked(text, settings)
    return time.process_time() - began


@pytest.mark.parametrize("part", PARTS)
def test_the_time_for_a_long_text_grows_no_faster_than_the_text(settings: Settings, part: str) -> None:
    short = min(seconds_for(part * (20_000 // len(part)), settings) for _ in range(3))
    long = min(seconds_for(part * (200_000 // len(part)), settings) for _ in range(2))
    assert long < 10 * 5 * max(short, 0.001)  # with a quadratic pattern, it takes 10 * 10 times as long


def test_a_text_of_a_megabyte_is_masked_to_its_end(settings: Settings) -> None:
    text = "the token is missing " * 50_000
    assert masked(f"{text}password=hunter2", settings) == f"{text}password=[secret]"
