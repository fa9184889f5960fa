"""Confirming orders by mail."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from jobs.engine.catalogue.job_type import JobType
from jobs.engine.errors import InvalidParameters
from jobs.orders import Item, Order, send_order_confirmation

ORDER: dict[str, Any] = {
    "order_id": "A-17",
    "customer_name": "Zoë",
    "customer_email": "zoe@example.com",
    "items": [{"name": "Lamp", "quantity": 2, "unit_price": "19.90"}, {"name": "$bulb", "unit_price": 1000}],
}


def test_a_customer_is_sent_the_items_and_their_total(data_dir: Path) -> None:
    send_order_confirmation(Order.model_validate(ORDER))

    [path] = (data_dir / "mail").glob("*.eml")
    mail = message_from_bytes(path.read_bytes(), policy=policy.default)
    body = mail.get_content()
    assert (mail["To"], mail["Subject"]) == ("zoe@example.com", "Your order A-17")
    assert "Hello Zoë," in body
    assert "2 x Lamp: 39.80 EUR" in body
    assert "1 x $bulb: 1,000.00 EUR" in body
    assert "Total: 1,039.80 EUR" in body


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": "A-17\r\nBcc: all@example.com"},
        {"customer_email": "nobody"},
        {"items": []},
        {"items": [{"name": "Lamp", "quantity": 0, "unit_price": 1}]},
        {"items": [{"name": "Lamp", "unit_price": "0.001"}]},
        {"currency": "euro"},
    ],
)
def test_an_invalid_order_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters):
        JobType.of(send_order_confirmation).parameters.validate({"order": ORDER | change})


def test_prices_are_exact() -> None:
    item = Item(name="Sweet", quantity=3, unit_price="0.10")
    assert str(item.price) == "0.30"
