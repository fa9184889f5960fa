"""The rules for a new user's name, e-mail address and password."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.engine.errors import Fault, InvalidRequest

from .passwords import MAX_LENGTH, MIN_LENGTH
from .usernames import fold, is_username

#: The hosts of local networks and of tests, which are valid here.
_LOCAL_HOSTS = frozenset({"local", "localhost", "test"})


@dataclass(frozen=True)
class Registration:
    """A valid registration."""

    username: str
    email: str
    password: str

    @classmethod
    def check(cls, username: str, email: str, password: str) -> Registration:
        """Convert the name to lower case, normalise the address, and check all three values.

        Raises:
            InvalidRequest: with every fault, and pointers into the body.
        """
        name = fold(username)
        address, address_fault = _address(email)
        faults = [fault for fault in (_name_fault(name), address_fault, _password_fault(password)) if fault]
        if faults:
            raise InvalidRequest(faults)
        return cls(name, address, password)


def check_password(password: str) -> None:
    """Check a new password. Raises InvalidRequest if it is too short or too long."""
    if fault := _password_fault(password):
        raise InvalidRequest([fault])


def _name_fault(name: str) -> Fault | None:
    if is_username(name):
        return None
    rule = "1 to 64 characters of a-z, 0-9, '.', '_' and '-', starting with a letter or digit"
    return Fault(f"expected {rule}", "invalid_username", pointer="/username")


def _address(email: str) -> tuple[str, Fault | None]:
    import email_validator  # here, because a process starts faster without it

    # The library allows changes to this list.
    refused = email_validator.SPECIAL_USE_DOMAIN_NAMES
    refused[:] = [host for host in refused if host not in _LOCAL_HOSTS]
    # Nothing is looked up: a wrong address shows when mail is sent.
    try:
        email.encode()
        found = email_validator.validate_email(email, check_deliverability=False, globally_deliverable=False)
    except (email_validator.EmailNotValidError, UnicodeError):
        return "", Fault("expected an e-mail address", "invalid_email", pointer="/email")
    return found.normalized, None


def _password_fault(password: str) -> Fault | None:
    if MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return None
    return Fault(f"expected {MIN_LENGTH} to {MAX_LENGTH} characters", "invalid_password", pointer="/password")
