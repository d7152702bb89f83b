"""A program of ours beside the platform's own, from the same build and with other settings: a second replica, one whose
database is away, a gateway that counts."""

import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import requests

from .platform import ROOT, Platform, eventually

sys.path.insert(0, str(ROOT / "deploy" / "local"))
from board.instance import Instance, free_ports  # noqa: E402


class Extra:
    def __init__(self, platform: Platform, name: str, log: Path, **settings: str):
        self.name, self.log = name, log
        instance = Instance(platform.directory, Path(os.environ["SWITCHBOARD_BINARIES"]))
        free, self.internal = free_ports(2)
        self.port = int(settings.get("PORT", free))  # named by who must know it before
        self.url = f"http://127.0.0.1:{self.port}"
        self.trust = True  # or the file of a certificate
        environment = instance.environment(name) | {"PORT": str(self.port), "INTERNAL_PORT": str(self.internal)} | settings
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [str(instance.binaries / name), "serve"], env=environment, stdout=out, stderr=out)

    def __enter__(self) -> "Extra":
        return self

    def __exit__(self, *error) -> None:
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        self.process.wait()

    def answer(self, path: str) -> requests.Response | None:
        """None while nothing listens."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return requests.get(self.url + path, timeout=5, verify=self.trust)
        except requests.ConnectionError:
            return None

    def listens(self, seconds: float = 5) -> "Extra":
        eventually(lambda: self.answer("/healthz"), seconds, f"{self.name} listens")
        return self

    def ready(self, seconds: float = 30) -> "Extra":
        def is_ready():
            answer = self.answer("/readyz")
            return answer is not None and answer.status_code == 200
        eventually(is_ready, seconds, f"{self.name} is ready")
        return self

    def missing(self) -> dict[str, str]:
        """The parts that are not ready, and why."""
        answer = self.answer("/readyz")
        assert answer.status_code == 503, answer.text
        return {part: reason for part, reason in answer.json()["parts"].items() if reason}

    def metric(self, name: str) -> float:
        line = next(line for line in self.answer("/metrics").text.splitlines() if line.startswith(name + " "))
        return float(line.split()[-1])


class Bridge:
    """A port of this machine that refuses everybody until it is opened, and then leads to another one."""

    def __init__(self, to: int):
        self.to = to
        self.port = free_ports(1)[0]
        self.opened = ExitStack()

    def open(self) -> None:
        self.listener = self.opened.enter_context(socket.create_server(("127.0.0.1", self.port)))
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self) -> None:
        self.opened.close()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to))
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=(source, target), daemon=True).start()


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
