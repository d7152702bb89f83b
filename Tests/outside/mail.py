"""The mails of the platform under test: `switchboard mail` reads the same folder."""

import re
import sys

from .platform import ROOT, Platform, eventually

sys.path.insert(0, str(ROOT / "deploy" / "local"))
from board.instance import Instance  # noqa: E402
from board.mail import mails  # noqa: E402


def all_mails(platform: Platform, address: str) -> list:
    return mails(Instance(platform.directory), address)


def mail_to(platform: Platform, address: str, subject: str, number: int = 1):
    """The `number`th mail with this subject to this address, once it is there."""
    def there():
        found = [mail for mail in all_mails(platform, address) if mail["Subject"] == subject]
        return found[number - 1] if len(found) >= number else None
    return eventually(there, 10, f"a mail '{subject}' to {address}")


def token_line(text: str) -> str:
    """The line that is a token: 32 random bytes in base64url."""
    return re.search(r"^([A-Za-z0-9_-]{43})$", text, re.MULTILINE).group(1)


def token_in(mail) -> str:
    return re.search(r"#token=([\w-]+)", mail.get_content()).group(1)


VERIFY, RESET = "Confirm your e-mail address", "Choose a new password"
CHANGED, INVITED = "Your password was changed", "You are invited to a workspace"
