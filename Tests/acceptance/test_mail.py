"""Mails to a real SMTP server (aiosmtpd), written by somebody else: TLS, log-in, refusals, and a server that is away.

An auth of its own on a database of its own sends them, so that the platform's goes on undisturbed.
"""

import email
import email.policy
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from outside.mail import VERIFY, token_in
from outside.people import PASSWORD, unique
from outside.platform import ROOT, eventually

sys.path.insert(0, str(ROOT / "deploy" / "local"))
from board.instance import Instance  # noqa: E402
from board.postgres import Postgres  # noqa: E402

USER, SECRET = "mailer@example.com", "an app password"


class Box:
    """Takes mails, or answers what it is told to."""

    def __init__(self):
        self.mails, self.answers, self.attempts, self.users = [], [], 0, set()

    async def handle_DATA(self, server, session, envelope):
        self.attempts += 1
        if self.answers:
            return self.answers.pop(0)
        self.mails.append((envelope, session.ssl is not None))
        return "250 taken"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone"):
            self.attempts += 1
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def authenticate(self, server, session, envelope, mechanism, data):
        good = (data.login, data.password) == (USER.encode(), SECRET.encode())
        return AuthResult(success=good, handled=False)

    def read(self, number: int = 0):
        envelope, _ = eventually(lambda: self.mails[number] if len(self.mails) > number else None, 15, "a mail came")
        return email.message_from_bytes(envelope.content, policy=email.policy.default)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", made, "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return key, made


@pytest.fixture
def start(platform, tmp_path):
    """Starts an auth with these settings; its address."""
    instance = Instance(platform.directory, Path(os.environ["SWITCHBOARD_BINARIES"]))
    postgres, started = Postgres(instance), []
    name = "mail_" + unique("x").replace("-", "_")
    postgres.psql(f"CREATE DATABASE {name} OWNER switchboard_auth;")
    port = free_port()
    base = {name: value for name, value in instance.environment("auth").items() if name != "EMAIL_MAILDIR"}
    base |= {"DATABASE_URL": instance.database_url("auth").rsplit("/", 1)[0] + "/" + name, "PORT": str(port),
             "KAFKA_TOPIC_PREFIX": name + "."}
    log = tmp_path / "auth.log"

    def start_one(**settings) -> str:
        environment = base | settings
        program = str(instance.binaries / "auth")
        subprocess.run([program, "migrate"], env=environment, check=True, capture_output=True, timeout=60)
        with log.open("ab") as out:
            started.append(subprocess.Popen([program, "serve"], env=environment, stdout=out, stderr=out))
        url = f"http://127.0.0.1:{port}"

        def ready():
            assert started[-1].poll() is None, log.read_text()[-3000:]
            try:
                return requests.get(url + "/readyz", timeout=2).status_code == 200
            except requests.ConnectionError:
                return False
        eventually(ready, 60, "auth is ready")
        return url

    start_one.log = log
    yield start_one
    for process in started:
        process.terminate()
        process.wait(30)
    postgres.psql(f"DROP DATABASE {name} WITH (FORCE);")


@pytest.fixture
def serve():
    """A mail server on a port; ends with the test."""
    running = []

    def serve_one(box: Box, port: int, **how) -> Controller:
        running.append(Controller(box, hostname="127.0.0.1", port=port, **how))
        running[-1].start()
        return running[-1]

    yield serve_one
    for each in running:
        each.stop()


def register(url: str, local: str = "someone") -> str:
    address = f"{unique(local)}@example.com"
    answer = requests.post(url + "/api/auth/register/", json={"email": address, "password": PASSWORD}, timeout=30)
    assert answer.status_code == 201, answer.text
    return address


def test_a_mail_goes_out_over_tls_with_a_log_in_and_is_a_proper_one(start, serve, certificate):
    key, made = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    box, port = Box(), free_port()
    serve(box, port, tls_context=context, require_starttls=True, auth_required=True, authenticator=box.authenticate)
    url = start(EMAIL_HOST="localhost", EMAIL_PORT=str(port), EMAIL_CA_FILE=str(made), EMAIL_HOST_USER=USER,
                EMAIL_HOST_PASSWORD=SECRET, EMAIL_FROM="Zentrale Köln <zentrale@example.com>")
    address = register(url)
    mail = box.read()
    envelope, was_secure = box.mails[0]
    assert was_secure and envelope.mail_from == "zentrale@example.com" and envelope.rcpt_tos == [address]
    assert mail["From"] == "Zentrale Köln <zentrale@example.com>" and mail["To"] == address
    assert mail["Subject"] == VERIFY and mail["Message-ID"].endswith("@example.com>") and mail["Date"].datetime
    assert mail.get_content_type() == "text/plain" and not mail.defects
    assert all(len(line) <= 998 and b"\r" not in line for line in envelope.content.split(b"\r\n"))
    checked = requests.post(url + "/api/auth/verify-email/", json={"token": token_in(mail)}, timeout=10)
    assert checked.status_code == 200, checked.text
    assert SECRET not in start.log.read_text()


def test_nothing_is_sent_without_the_tls_that_was_asked_for(start, serve):
    box, port = Box(), free_port()
    serve(box, port)
    url = start(EMAIL_HOST="127.0.0.1", EMAIL_PORT=str(port))
    address = register(url)
    eventually(lambda: "mail.not_sent" in start.log.read_text(), 15, "it says that nothing was sent")
    assert box.mails == [] and "TLS" in start.log.read_text() and address not in start.log.read_text()


def test_a_server_that_is_away_gets_the_mail_when_it_is_back(start, serve):
    box, port = Box(), free_port()
    url = start(EMAIL_HOST="127.0.0.1", EMAIL_PORT=str(port), EMAIL_USE_TLS="false")
    address = register(url)
    eventually(lambda: "mail.not_sent" in start.log.read_text(), 15, "the first try failed")
    serve(box, port)
    assert box.read()["To"] == address


def test_what_the_server_puts_off_is_tried_again_and_what_it_refuses_is_not(start, serve):
    box, port = Box(), free_port()
    serve(box, port)
    box.answers = ["451 later, please"]
    url = start(EMAIL_HOST="127.0.0.1", EMAIL_PORT=str(port), EMAIL_USE_TLS="false")
    address = register(url)
    assert box.read()["To"] == address and box.attempts == 2
    register(url, "gone")
    eventually(lambda: "mail.refused" in start.log.read_text(), 15, "the refusal is noted")
    until = time.monotonic() + 7
    eventually(lambda: time.monotonic() > until, 8)
    assert box.attempts == 3 and len(box.mails) == 1
