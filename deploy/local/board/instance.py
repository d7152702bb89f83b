"""One local platform: the directory it lives in, its ports, its secrets, and the settings each program gets.

Everything that was decided once (passwords, keys, ports) is in the file `env` below the instance's directory, so that
the next start finds it again. The default instance is `.local/`; `make test` makes others, which never meet it.
"""

import os
import secrets
import socket
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SETUP = ROOT / ".local"  # what deploy/local/setup installed; shared by every instance
SERVICES = ["auth", "billing", "telephony", "qa-analytics", "knowledge", "realtime"]

PORTS = {
    "GATEWAY_PORT": 8000,
    "GATEWAY_INTERNAL_PORT": 8100,
    "AUTH_PORT": 8101,
    "BILLING_PORT": 8102,
    "TELEPHONY_PORT": 8103,
    "QA_ANALYTICS_PORT": 8104,
    "KNOWLEDGE_PORT": 8105,
    "REALTIME_PORT": 8106,
    "POSTGRES_PORT": 8132,
    "SIMULATOR_PORT": 8190,
    "BROKER_PORT": 8192,
}

# Given to each program by this file itself, so a value from outside would only break it.
OWN = {"DATABASE_URL", "HOST", "PORT", "INTERNAL_PORT", "KAFKA_BROKERS", "KAFKA_PROFILE", "KAFKA_TOPIC_PREFIX",
       "KAFKA_OPTIONS", "MIGRATIONS_DIR", "DOCS_ASSETS", "SENTIMENT_LEXICON"}


class Refused(Exception):
    """Something the person at the keyboard can put right; its text is all they need."""


def upper(program: str) -> str:
    return program.upper().replace("-", "_")


def database_name(program: str) -> str:
    return "switchboard_qa" if program == "qa-analytics" else f"switchboard_{program}"


def read_settings(file: Path) -> dict[str, str]:
    """NAME=value lines; `#` starts a comment line; quotes around a value are taken off."""
    settings = {}
    if not file.exists():
        return settings
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip().removeprefix("export ")
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise Refused(f"{file}:{number}: expected NAME=value")
        settings[name.strip()] = value.strip().strip("\"'")
    return settings


def known_settings() -> set[str]:
    """Every name `.env.example` lists, also those it leaves commented out."""
    names = set()
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        name, equals, _ = line.removeprefix("#").strip().partition("=")
        if equals and name.isidentifier() and name.isupper():
            names.add(name)
    return names


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now. All are held while they are collected, so none comes twice."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


class Instance:
    def __init__(self, directory: Path, binaries: Path | None = None):
        self.directory = directory.resolve()
        self.is_default = self.directory == SETUP
        self.log = self.directory / "log"
        self.run = self.directory / "run"
        self.mail = self.directory / "mail"
        self.env_file = self.directory / "env"
        self.credentials_file = self.directory / "credentials.json"
        self.settings = read_settings(self.env_file)
        self.binaries = Path(binaries or self.settings.get("SWITCHBOARD_BINARIES") or ROOT / ".build" / "release")

    # ---- what is decided once

    def decide(self, chosen: dict[str, str], on_free_ports: bool = False) -> None:
        """Fills in what is still open and writes the file. `chosen` wins over what an earlier start decided."""
        for folder in (self.directory, self.log, self.run):
            folder.mkdir(parents=True, exist_ok=True)
        settings = self.settings
        free = free_ports(len(PORTS)) if on_free_ports else list(PORTS.values())
        for name, port in zip(PORTS, free):
            settings.setdefault(name, str(port))
        settings.setdefault("SECRET_KEY", secrets.token_hex(32))
        settings.setdefault("POSTGRES_PASSWORD", secrets.token_hex(16))
        for program in SERVICES:
            settings.setdefault(f"{upper(program)}_DATABASE_PASSWORD", secrets.token_hex(16))
        # A carrier account of the simulator's own. A real one in `.env` takes its place (see `given`).
        settings.setdefault("TWILIO_ACCOUNT_SID", "AC" + secrets.token_hex(16))
        settings.setdefault("TWILIO_AUTH_TOKEN", secrets.token_hex(16))
        settings.setdefault("TWILIO_PHONE_NUMBER", "+14155550100")
        settings.update(chosen)
        if self.binaries != ROOT / ".build" / "release":
            settings["SWITCHBOARD_BINARIES"] = str(self.binaries)
        for name in PORTS:
            if not settings[name].isdecimal() or not 0 < int(settings[name]) < 65536:
                raise Refused(f"{name} must be a port number, not '{settings[name]}'")
        self.write()

    def write(self) -> None:
        """Replaces the file in one step, so a crash leaves the old or the new one and never half a secret."""
        lines = ["# Made once by deploy/local/switchboard. Secrets: keep it to yourself."]
        lines += [f"{name}={value}" for name, value in self.settings.items()]
        fresh = self.env_file.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        fresh.replace(self.env_file)

    def given(self) -> dict[str, str]:
        """What the person running this asked for: `.env`, then the environment, for the names `.env.example` lists.
        Only the default instance looks: a test must never reach somebody's real carrier account."""
        if not self.is_default:
            return {}
        known = known_settings() - OWN - set(PORTS)
        asked = read_settings(ROOT / ".env") | {name: os.environ[name] for name in known if os.environ.get(name)}
        return {name: value for name, value in asked.items() if name not in OWN and value}

    # ---- addresses

    def port(self, name: str) -> int:
        return int(self.settings.get(name, PORTS[name]))

    def port_of(self, program: str) -> int:
        return self.port({"postgres": "POSTGRES_PORT", "carrier-simulator": "SIMULATOR_PORT"}.get(
            program, f"{upper(program)}_PORT"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port('GATEWAY_PORT')}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.port('SIMULATOR_PORT')}"

    @property
    def brokers(self) -> str:
        return f"127.0.0.1:{self.port('BROKER_PORT')}"

    def database_url(self, program: str) -> str:
        name, password = database_name(program), self.settings[f"{upper(program)}_DATABASE_PASSWORD"]
        return f"postgresql://{name}:{password}@127.0.0.1:{self.port('POSTGRES_PORT')}/{name}"

    @property
    def superuser_url(self) -> str:
        password = self.settings["POSTGRES_PASSWORD"]
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port('POSTGRES_PORT')}/postgres"

    def library_path(self) -> str:
        """The wheel's librdkafka before the distribution's, which may be too old (see facts in the README)."""
        return ":".join(filter(None, [str(SETUP / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]))

    # ---- what a program is started with

    def environment(self, program: str) -> dict[str, str]:
        """Nothing is inherited but what every process needs; a variable set in a shell never changes a program."""
        kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SWIFT_BACKTRACE", "SSL_CERT_FILE")
        values = {name: os.environ[name] for name in kept if name in os.environ}
        values["LD_LIBRARY_PATH"] = self.library_path()
        values |= {
            "PUBLIC_URL": self.url,
            "TWILIO_API_URL": self.simulator_url,
            "ALLOW_BASIC_AUTH": "true",
            # Until a mail server is named: `make mail` shows what is there.
            "EMAIL_MAILDIR": str(self.mail),
            "DOCS_ASSETS": str(SETUP / "share" / "docs"),
            "SENTIMENT_LEXICON": str(SETUP / "share" / "sentiment" / "vader_lexicon.txt"),
            # Simulated calls cost nothing and never stop.
            "FREE_PLAN_CALL_LIMIT": "10000000",
            "FREE_PLAN_AGENT_LIMIT": "100",
            "FREE_PLAN_MAX_MINUTES": "10000000",
        }
        private = set(PORTS) | {"SWITCHBOARD_BINARIES", "SWITCHBOARD_FSYNC", "POSTGRES_PASSWORD"}
        values |= {name: value for name, value in self.settings.items()
                   if name not in private and not name.endswith("_DATABASE_PASSWORD")}
        given = self.given()
        if "TWILIO_ACCOUNT_SID" in given:
            del values["TWILIO_API_URL"]  # somebody's real account: the real Twilio, unless `.env` names another
        values |= given
        values |= {
            "HOST": "127.0.0.1",
            "KAFKA_BROKERS": self.brokers,
            "KAFKA_PROFILE": "local",
        }
        for service in SERVICES:
            values[f"{upper(service)}_URLS"] = f"http://127.0.0.1:{self.port_of(service)}"
        if program in SERVICES:
            values["DATABASE_URL"] = self.database_url(program)
            values["MIGRATIONS_DIR"] = str(ROOT / "Services" / program / "migrations")
            values["PORT"] = str(self.port_of(program))
        elif program == "gateway":
            values["HOST"] = given.get("GATEWAY_HOST", "127.0.0.1")
            values["PORT"] = str(self.port("GATEWAY_PORT"))
            values["INTERNAL_PORT"] = str(self.port("GATEWAY_INTERNAL_PORT"))
        elif program == "carrier-simulator":
            values["PORT"] = str(self.port("SIMULATOR_PORT"))
        return values
