"""The mails that wait to be sent, read where they wait: auth's own table."""

import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

from .platform import ROOT, Platform

sys.path.insert(0, str(ROOT / "deploy" / "local"))

from board.instance import SETUP, Instance  # noqa: E402


def newest_mail(platform: Platform, to: str) -> str | None:
    """The body of the last mail to an address."""
    url = urlsplit(Instance(platform.directory).database_url("auth"))
    command = [SETUP / "postgresql" / "bin" / "psql", "-X", "-q", "-A", "-t", "-v", f"to={to}", "-h", url.hostname,
               "-p", str(url.port), "-U", url.username, "-d", url.path.lstrip("/")]
    # A variable is only read from a script, not from -c.
    script = "SELECT body FROM mails WHERE lower(recipient) = lower(:'to') ORDER BY created_at DESC, id DESC LIMIT 1;\n"
    done = subprocess.run([str(each) for each in command], input=script, capture_output=True, text=True, timeout=20,
                          env=os.environ | {"PGPASSWORD": url.password or ""})
    assert done.returncode == 0, done.stderr
    return done.stdout or None


def token_in(mail: str) -> str:
    """The line that is a token: 32 random bytes in base64url."""
    return re.search(r"^([A-Za-z0-9_-]{43})$", mail, re.MULTILINE).group(1)
