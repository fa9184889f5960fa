"""Sending e-mails through SMTP_URL, or writing them to DATA_DIR/mail if it is not set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid, parseaddr
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import EmailStr, Field

from jobs.engine import Fatal, Retry, checkpoint, current_job, job, progress, settings

if TYPE_CHECKING:
    import smtplib

TIMEOUT_SECONDS = 20.0
DEFAULT_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}

#: One line: with a line break, a user could add headers of their own.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
Subject = Annotated[Line, Field(min_length=1, max_length=500)]
Body = Annotated[str, Field(max_length=500_000, pattern=r"^[^\x00]*$")]


class MailNotTaken(Exception):
    """The mail server can't be reached or does not accept the mail now; a retry may succeed."""


class MailRefused(Fatal):
    """The mail server refuses the mail permanently."""


@dataclass(frozen=True)
class SentMail:
    """A mail that was sent."""

    to: str
    #: Made from the job's id. If a mail is sent twice, both have the same id, and mail readers show it once.
    message_id: str
    sent_by: Literal["smtp", "file"]


RETRY_MAIL = Retry(max=5, delay=5, max_delay=600, on=(MailNotTaken,))


@job(timeout=120, retry=RETRY_MAIL)
def send_email(to: EmailStr, subject: Subject, body: Body) -> SentMail:
    """Send a plain-text e-mail.

    If no mail server is set up (SMTP_URL), the e-mail is written to a file that the operator can read.
    """
    return send(compose(to, subject, body))


@job(timeout=120, retry=RETRY_MAIL)
def send_welcome_email(username: Annotated[Line, Field(min_length=1, max_length=150)], email: EmailStr) -> SentMail:
    """Welcome a new user by e-mail."""
    body = (
        f"Hello {username},\n\n"
        "Your account is ready. Sign in with your username and password, create an API key,\n"
        "and submit your first job.\n\n"
        "If you did not register, ignore this message: an address was mistyped.\n"
    )
    return send(compose(email, f"Welcome, {username}", body))


def compose(to: str, subject: str, body: str) -> EmailMessage:
    """Make a plain-text mail. Its id is made from the job's id."""
    sender = settings().mail_from
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = _message_id(parseaddr(sender)[1].rpartition("@")[2] or "localhost")
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body)
    return message


def _message_id(domain: str) -> str:
    current = current_job()
    return f"<{current.job_id}@{domain}>" if current else make_msgid(domain=domain)


def send(message: EmailMessage) -> SentMail:
    """Send a mail through SMTP_URL, or write it to a file. A job that is resumed does not send it again.

    Raises:
        MailNotTaken: a retry may succeed.
        MailRefused: the mail server refuses the mail permanently.
    """
    by: Literal["smtp", "file"] = "smtp" if settings().smtp_url else "file"
    sent = SentMail(str(message["To"]), str(message["Message-ID"]), by)
    # An earlier attempt died after it had sent the mail.
    if current_job() and checkpoint.get("sent"):
        return sent
    progress(10, "Sending the mail")
    if by == "smtp":
        _send_over_smtp(message)
    else:
        _write_file(message)
    if current_job():
        checkpoint["sent"] = True
    progress(100, "Sent")
    return sent


def _write_file(message: EmailMessage) -> None:
    folder = settings().data_dir / "mail"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = str(message["Message-ID"]).strip("<>").partition("@")[0]
    draft = folder / f".{name}.draft"
    draft.write_bytes(message.as_bytes(policy=SMTP))
    draft.replace(folder / f"{name}.eml")


def _send_over_smtp(message: EmailMessage) -> None:
    import smtplib

    with _smtp_errors():
        server = _connected()
        try:
            server.send_message(message)
        except BaseException:
            server.close()
            raise
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        pass  # the server has accepted the mail; an error afterwards must not cause a retry


def _connected() -> smtplib.SMTP:
    import smtplib
    import ssl

    try:
        url = urlsplit(settings().smtp_url or "")
        port = url.port or DEFAULT_PORTS[url.scheme]
    except (ValueError, KeyError):
        url, port = urlsplit(""), 0
    if not url.hostname:
        # The value is not shown: it contains a password.
        raise Fatal("SMTP_URL can't be used; expected smtp://, smtps:// or smtp+starttls://user:password@host:port.")
    trusted = ssl.create_default_context()
    server = (
        smtplib.SMTP_SSL(url.hostname, port, timeout=TIMEOUT_SECONDS, context=trusted)
        if url.scheme == "smtps"
        else smtplib.SMTP(url.hostname, port, timeout=TIMEOUT_SECONDS)
    )
    try:
        if url.scheme == "smtp+starttls":
            server.starttls(context=trusted)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
    except BaseException:
        server.close()
        raise
    return server


@contextmanager
def _smtp_errors() -> Iterator[None]:
    """Turn smtplib's errors into ours. A 4xx reply or a broken connection is temporary, all others are permanent."""
    import smtplib
    import ssl

    try:
        yield
    except smtplib.SMTPRecipientsRefused as error:
        code, reason = next(iter(error.recipients.values()))
        raise _answer(code, reason) from error
    except smtplib.SMTPResponseException as error:
        raise _answer(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError) as error:
        raise MailRefused(f"The mail server can't be used as SMTP_URL requires: {error}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailNotTaken("The mail server can't be reached.") from error


def _answer(code: int, reason: bytes | str) -> Exception:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
    message = f"The mail server answered {code} {' '.join(text.split())[:200]}".rstrip()
    # smtplib reports a reply it can't read, or a dropped connection, as -1.
    return MailRefused(message) if code >= 500 else MailNotTaken(message)
