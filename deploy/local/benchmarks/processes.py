"""Processes a measurement starts, what they used, and their end."""

import os
import signal
import subprocess
import time
from pathlib import Path

from board.instance import ROOT, Refused

TICKS = os.sysconf("SC_CLK_TCK")


class Processes:
    """What was started inside the `with` is ended when it is left."""

    def __enter__(self) -> "Processes":
        self.all: list[subprocess.Popen] = []
        return self

    def start(self, command: list, environment: dict[str, str], log: Path) -> int:
        """Its process id."""
        with log.open("ab") as out:
            process = subprocess.Popen([str(each) for each in command], env=environment, cwd=ROOT, stdout=out,
                                       stderr=out, stdin=subprocess.DEVNULL)
        self.all.append(process)
        return process.pid

    def __exit__(self, *error) -> None:
        for process in self.all:
            process.send_signal(signal.SIGTERM)
        for process in self.all:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(ready, seconds: float = 30) -> None:
    """Until `ready` returns None; what it returns instead is the reason to give up with."""
    deadline = time.monotonic() + seconds
    while (reason := ready()) is not None:
        if time.monotonic() > deadline:
            raise Refused(reason)
        time.sleep(0.05)


def processor_seconds(process: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
