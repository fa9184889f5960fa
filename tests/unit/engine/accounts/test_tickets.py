from __future__ import annotations

from datetime import timedelta

import fakeredis
import pytest
import time_machine

from jobs.engine.accounts.accounts import Accounts
from jobs.engine.accounts.tickets import Tickets
from jobs.engine.accounts.user import User
from jobs.engine.errors import Unauthenticated
from tests.unit.engine.accounts.people import everything, register

STREAM = "/api/v1/jobs/1/stream"


@pytest.fixture
def alice(accounts: Accounts) -> User:
    return accounts.find(register(accounts))


@pytest.fixture
def tickets(accounts: Accounts) -> Tickets:
    return accounts.tickets


def by_key(accounts: Accounts, user: User, job_id: str | None = None) -> str:
    _, key = accounts.create_key(user.user_id, "laptop")
    return accounts.tickets.issue(user, bearer=key, session=None, job_id=job_id)


def redeem(tickets: Tickets, ticket: str, *, stream: str = STREAM, job_id: str = "1", resumes: bool = False) -> str:
    return tickets.redeem(ticket, stream=stream, job_id=job_id, resumes=resumes).user_id


def test_a_ticket_opens_a_stream_for_its_user(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    assert redeem(tickets, by_key(accounts, alice)) == "alice"


def test_a_ticket_opens_one_stream_once(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    ticket = by_key(accounts, alice)
    redeem(tickets, ticket)
    with pytest.raises(Unauthenticated, match="Last-Event-ID"):
        redeem(tickets, ticket)
    with pytest.raises(Unauthenticated, match="another stream"):
        redeem(tickets, ticket, stream="/api/v1/jobs/stream", resumes=True)


def test_a_ticket_resumes_its_stream(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    ticket = by_key(accounts, alice)
    redeem(tickets, ticket)
    assert redeem(tickets, ticket, resumes=True) == "alice"


def test_a_ticket_for_one_job_opens_no_other(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    ticket = by_key(accounts, alice, job_id="1")
    with pytest.raises(Unauthenticated, match="another stream"):
        redeem(tickets, ticket, stream="/api/v1/jobs/2/stream", job_id="2")
    assert redeem(tickets, ticket) == "alice"


def test_an_unknown_or_closed_ticket_is_refused(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    closed = by_key(accounts, alice)
    tickets.close(closed)
    for ticket in ("", "unknown", closed):
        with pytest.raises(Unauthenticated, match="not valid"):
            redeem(tickets, ticket)
        with pytest.raises(Unauthenticated, match="not valid"):
            tickets.check(ticket)


def test_a_ticket_must_be_used_within_a_minute(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    with time_machine.travel("2026-03-04T05:06:07Z", tick=False) as clock:
        ticket = by_key(accounts, alice)
        clock.shift(timedelta(seconds=61))
        with pytest.raises(Unauthenticated, match="expired"):
            redeem(tickets, ticket)


def test_a_used_ticket_lasts_as_long_as_its_stream_is_checked(
    accounts: Accounts, tickets: Tickets, alice: User
) -> None:
    with time_machine.travel("2026-03-04T05:06:07Z", tick=False) as clock:
        ticket = by_key(accounts, alice)
        redeem(tickets, ticket)
        for _ in range(3):
            clock.shift(timedelta(hours=23))
            assert tickets.check(ticket).user_id == "alice"


def test_a_ticket_ends_with_the_key_it_was_issued_for(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    made, key = accounts.create_key("alice", "laptop")
    ticket = tickets.issue(alice, bearer=key, session=None, job_id=None)
    redeem(tickets, ticket)
    accounts.revoke("alice", made.id)
    with pytest.raises(Unauthenticated, match="revoked"):
        tickets.check(ticket)


def test_a_ticket_ends_with_the_token_it_was_issued_for(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    with time_machine.travel("2026-03-04T05:06:07Z", tick=False) as clock:
        token, seconds = accounts.bearers.issue_token(alice)
        ticket = tickets.issue(alice, bearer=token, session=None, job_id=None)
        redeem(tickets, ticket)
        clock.shift(timedelta(seconds=seconds))
        with pytest.raises(Unauthenticated, match="expired"):
            tickets.check(ticket)


def test_a_ticket_ends_with_the_session_it_was_issued_for(accounts: Accounts, tickets: Tickets, alice: User) -> None:
    session = accounts.sign_in.open_session(alice)
    ticket = tickets.issue(alice, bearer=None, session=session, job_id=None)
    redeem(tickets, ticket)
    accounts.sign_in.close_session(session)
    with pytest.raises(Unauthenticated, match="revoked"):
        tickets.check(ticket)


def test_a_ticket_of_a_session_ends_with_the_key_that_opened_it(
    accounts: Accounts, tickets: Tickets, alice: User
) -> None:
    made, key = accounts.create_key("alice", "laptop")
    session = accounts.sign_in.open_session(alice, key=key)
    ticket = tickets.issue(alice, bearer=None, session=session, job_id=None)
    assert redeem(tickets, ticket) == "alice"
    accounts.revoke("alice", made.id)
    with pytest.raises(Unauthenticated, match="revoked"):
        tickets.check(ticket)


def test_a_ticket_is_not_valid_for_a_later_user_of_the_same_name(
    accounts: Accounts, tickets: Tickets, alice: User
) -> None:
    ticket = by_key(accounts, alice)
    accounts.delete("alice")
    with pytest.raises(Unauthenticated, match="removed"):
        tickets.check(ticket)
    register(accounts)
    with pytest.raises(Unauthenticated, match="revoked"):
        tickets.check(ticket)


def test_a_ticket_is_stored_as_a_hash(accounts: Accounts, connection: fakeredis.FakeRedis, alice: User) -> None:
    assert by_key(accounts, alice) not in everything(connection)
