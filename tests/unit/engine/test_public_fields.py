"""The public fields of a dataclass, as the HTTP API returns them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from jobs.engine.public_fields import public_fields


@dataclass(frozen=True)
class Parcel:
    parcel_id: str
    owner: Annotated[str, Field(exclude=True)]
    sent_at: Annotated[datetime, Field(description="When it was sent.")]
    arrived_at: datetime | None = None


PARCEL = Parcel("p1", "alice", datetime(2030, 1, 31, 12, 0, tzinfo=UTC))


def test_the_fields_are_returned_in_their_order_without_hidden_ones() -> None:
    assert list(public_fields(PARCEL)) == ["parcel_id", "sent_at", "arrived_at"]


def test_times_are_written_in_rfc_3339_and_a_missing_time_is_null() -> None:
    fields = public_fields(PARCEL)
    assert fields["sent_at"] == "2030-01-31T12:00:00.000000Z"
    assert fields["arrived_at"] is None


def test_the_instance_does_not_change() -> None:
    public_fields(PARCEL)["parcel_id"] = "other"
    assert PARCEL.parcel_id == "p1"
