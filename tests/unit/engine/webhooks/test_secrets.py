"""Signing secrets: when each one signs."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from jobs.engine.errors import UserNotFound
from jobs.engine.webhooks.secrets import MAX_SECRETS, ROTATION_SECONDS, SECRET_BYTES, WebhookSecrets


@pytest.fixture
def secrets(connection: Any) -> WebhookSecrets:
    return WebhookSecrets(connection)


def test_the_first_secret_is_made_once(secrets: WebhookSecrets) -> None:
    (secret,) = secrets.signing("alice")
    assert secrets.signing("alice") == [secret]
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == SECRET_BYTES


def test_the_previous_secret_signs_for_a_day_after_a_rotation(secrets: WebhookSecrets, connection: Any) -> None:
    (old,) = secrets.signing("alice")
    rotated = secrets.rotate("alice")
    assert secrets.signing("alice") == [rotated.secret, old]
    assert rotated.previous_ends_at is not None
    seconds = (rotated.previous_ends_at - datetime.now(UTC)).total_seconds()
    assert ROTATION_SECONDS - 60 < seconds <= ROTATION_SECONDS

    connection.zadd("wh:webhook-secrets:alice", {old: 1})  # a day later
    assert secrets.signing("alice") == [rotated.secret]


def test_the_first_rotation_has_no_previous_secret(secrets: WebhookSecrets) -> None:
    assert secrets.rotate("alice").previous_ends_at is None


def test_many_rotations_keep_the_newest_secrets(secrets: WebhookSecrets) -> None:
    made = [secrets.rotate("alice").secret for _ in range(MAX_SECRETS + 3)]
    signing = secrets.signing("alice")
    assert signing[0] == made[-1] and len(signing) == MAX_SECRETS


def test_a_user_who_does_not_exist_has_no_secret(secrets: WebhookSecrets) -> None:
    with pytest.raises(UserNotFound):
        secrets.signing("bob")
    with pytest.raises(UserNotFound):
        secrets.rotate("bob")
