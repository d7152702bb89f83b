"""The running platform under test, as deploy/local/test.py describes it in the environment."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ["auth", "billing", "telephony", "qa-analytics", "knowledge", "realtime"]


def eventually(condition: Callable, seconds: float = 10, what: str = ""):
    """The condition's first true answer. Asked again and again until the deadline, since nothing tells us when."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not: {what or condition.__name__} (last answer: {answer!r})")
        time.sleep(pause)
        pause = min(0.25, pause * 1.5)


class Platform:
    def __init__(self, url: str, simulator: str, directory: Path, credentials: dict, command: str):
        self.url, self.simulator, self.directory = url, simulator, directory
        self.credentials, self.command = credentials, command
        self.settings = dict(
            line.split("=", 1) for line in (directory / "env").read_text().splitlines()
            if "=" in line and not line.startswith("#"))

    @classmethod
    def from_environment(cls) -> "Platform":
        names = ["SWITCHBOARD_URL", "SWITCHBOARD_SIMULATOR_URL", "SWITCHBOARD_INSTANCE", "SWITCHBOARD_CREDENTIALS"]
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise RuntimeError(f"{', '.join(missing)} not set: `make test` starts a platform and says where it is")
        url, simulator, directory, credentials = (os.environ[name] for name in names)
        return cls(url, simulator, Path(directory), json.loads(Path(credentials).read_text()),
                   os.environ.get("SWITCHBOARD_COMMAND", str(ROOT / "deploy" / "local" / "switchboard")))

    @property
    def account(self) -> tuple[str, str]:
        """The carrier account: its SID and token."""
        return self.settings["TWILIO_ACCOUNT_SID"], self.settings["TWILIO_AUTH_TOKEN"]

    def internal_url(self, program: str) -> str:
        """A program's own address, behind the gateway."""
        return f"http://127.0.0.1:{self.settings[program.upper().replace('-', '_') + '_PORT']}"

    def websocket_url(self, path: str) -> str:
        return self.url.replace("http", "ws", 1) + path

    def tell(self, *words: str) -> str:
        """Runs the platform's own command on this instance."""
        done = subprocess.run([self.command, "--instance", str(self.directory), *words],
                              capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"switchboard {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def logs(self) -> "Logs":
        return Logs(self.directory / "log")


class Logs:
    """What the programs log from now on."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.began = {file: file.stat().st_size for file in folder.glob("*.log")}

    def errors(self) -> list[str]:
        """Every line of level error or worse, or that is a crash's, written since."""
        found = []
        for file in sorted(self.folder.glob("*.log")):
            if file.stem in ("postgres", "broker", "supervisor"):
                continue
            with file.open("rb") as log:
                log.seek(self.began.get(file, 0))
                for line in log.read().decode(errors="replace").splitlines():
                    if is_error(line):
                        found.append(f"{file.stem}: {line[:500]}")
        return found


def is_error(line: str) -> bool:
    if "Fatal error" in line or "Program crashed" in line:
        return True
    try:
        return json.loads(line).get("level") in ("error", "critical", "fatal")
    except (ValueError, AttributeError):
        return False
