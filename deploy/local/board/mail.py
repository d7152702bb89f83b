"""The mails of a local platform: no mail server is asked, auth puts them into a folder (a maildir)."""

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path

from .instance import Instance


def mails(instance: Instance, address: str | None = None) -> list[EmailMessage]:
    """Oldest first; those to one address only, if given."""
    found = [read(file) for file in sorted((instance.mail / "new").glob("*"))]
    return [mail for mail in found if address is None or address.casefold() in str(mail["To"]).casefold()]


def read(file: Path) -> EmailMessage:
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)


def shown(mail: EmailMessage) -> str:
    head = "\n".join(f"{name + ':':<9}{mail[name]}" for name in ("Date", "To", "Subject"))
    return f"{head}\n\n{mail.get_content().strip()}\n"
