"""Confirming orders by e-mail, from a template."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Annotated

from pydantic import BaseModel, ConfigDict, EmailStr, Field

from jobs.engine import job
from jobs.mail import RETRY_MAIL, Line, SentMail, compose, send

TEMPLATE = Path(__file__).parent / "data" / "order_confirmation.txt"

Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2)]
Name = Annotated[Line, Field(min_length=1, max_length=200)]


class Item(BaseModel):
    """One line of an order."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    quantity: int = Field(1, ge=1, le=1_000_000)
    unit_price: Price

    @property
    def price(self) -> Decimal:
        return self.quantity * self.unit_price


class Order(BaseModel):
    """An order of a customer."""

    model_config = ConfigDict(extra="forbid")

    order_id: Annotated[Line, Field(min_length=1, max_length=100)]
    customer_name: Name
    customer_email: EmailStr
    items: list[Item] = Field(min_length=1, max_length=500)
    currency: str = Field("EUR", pattern=r"^[A-Z]{3}$")

    @property
    def total(self) -> Decimal:
        return sum((item.price for item in self.items), Decimal())


@job(timeout=120, retry=RETRY_MAIL)
def send_order_confirmation(order: Order) -> SentMail:
    """Send a customer an e-mail that confirms an order, with its items and their total."""
    body = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        customer=order.customer_name,
        order_id=order.order_id,
        lines="\n".join(_line(item, order.currency) for item in order.items),
        total=_money(order.total, order.currency),
    )
    return send(compose(order.customer_email, f"Your order {order.order_id}", body))


def _line(item: Item, currency: str) -> str:
    return f"  {item.quantity} x {item.name}: {_money(item.price, currency)}"


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"
