"""What the platform consists of: each process, how it is started, how it says it is ready, how it is asked to stop."""

import http.client
import json
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from .instance import SERVICES, SETUP, Instance
from .postgres import Postgres


@dataclass
class Program:
    name: str
    command: list[str]
    environment: dict[str, str]
    ready: Callable[[], str | None]  # None = ready, else the reason why not
    port: int
    stop_signal: signal.Signals = signal.SIGTERM
    runs_as: dict = field(default_factory=dict)
    stop_seconds: int = 30  # the programs drain within 25


def listening(port: int) -> str | None:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return None
    except OSError:
        return f"nothing listens on port {port} yet"


def ready_page(port: int) -> str | None:
    """Asks `/readyz`. Anything but 200 is a reason, shown in the program's own words."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(2000).decode(errors="replace").strip()
        return None if answer.status == 200 else f"{answer.status} {reasons(text)}"
    except (OSError, http.client.HTTPException) as error:
        return f"/readyz on port {port}: {error or type(error).__name__}"
    finally:
        connection.close()


def reasons(text: str) -> str:
    """The parts of a `/readyz` answer that are not ready, or the answer itself when it is not of that shape."""
    try:
        parts = json.loads(text).get("parts", {})
        waiting = [f"{name}: {reason}" for name, reason in parts.items() if reason not in (None, True, "ready", "ok")]
        return "; ".join(waiting) or text
    except (ValueError, AttributeError):
        return text


def infrastructure(instance: Instance, postgres: Postgres) -> list[Program]:
    broker = f"tcp://{instance.brokers}"
    return [
        Program(
            "postgres", postgres.command(), {"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            ready=lambda: None if postgres.answers() else "PostgreSQL does not answer yet",
            port=instance.port("POSTGRES_PORT"),
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then a clean checkpoint
            runs_as=postgres.runs_as),
        Program(
            "broker",
            [str(SETUP / "broker"), "broker", "--kafka-cluster-id", "switchboard", "--kafka-listener-url", broker,
             "--kafka-advertised-listener-url", broker, "--storage-engine", "memory://tansu/"],
            {"PATH": "/usr/bin:/bin", "RUST_LOG": "warn"},
            ready=lambda: listening(instance.port("BROKER_PORT")),
            port=instance.port("BROKER_PORT")),
    ]


def served(instance: Instance, name: str) -> Program:
    port = instance.port_of(name)
    return Program(
        name, [str(instance.binaries / name), "serve"], instance.environment(name),
        ready=lambda: ready_page(port), port=port)


def services(instance: Instance) -> list[Program]:
    return [served(instance, name) for name in SERVICES]


def edge(instance: Instance) -> list[Program]:
    """What stands in front: the gateway, and the carrier that calls it."""
    simulator = instance.port("SIMULATOR_PORT")
    return [
        served(instance, "gateway"),
        Program(
            "carrier-simulator", [str(instance.binaries / "carrier-simulator"), "serve"],
            instance.environment("carrier-simulator"), ready=lambda: listening(simulator), port=simulator,
            stop_seconds=5),
    ]


def missing(instance: Instance) -> list[str]:
    names = [*SERVICES, "gateway", "carrier-simulator"]
    return [name for name in names if not (instance.binaries / name).exists()]


