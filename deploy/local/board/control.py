"""Talking to the supervisor of an instance: starting it, waiting for it, asking it, stopping it."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import time

from .instance import ROOT, Instance, Refused
from .supervisor import tail

UP_SECONDS = 240
DOWN_SECONDS = 120


def is_up(instance: Instance) -> bool:
    """Whether a supervisor holds the instance's lock."""
    try:
        lock = (instance.run / "lock").open("r+")
    except FileNotFoundError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


def ask(instance: Instance, seconds: float = 120, **request: str) -> dict:
    """One request, one answer. Raises Refused when nothing is up, or with the supervisor's own words."""
    try:
        folder = os.open(instance.run, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(seconds)
                line.connect(f"/proc/self/fd/{folder}/control")
                line.sendall(json.dumps(request).encode() + b"\n")
                text = line.makefile().readline()
        finally:
            os.close(folder)
    except (FileNotFoundError, ConnectionError):
        raise Refused("not up (`make up` starts it)") from None
    if not text:
        raise Refused("it is stopping")
    reply = json.loads(text)
    if "error" in reply:
        raise Refused(reply["error"])
    return reply


def launch(instance: Instance, only_infrastructure: bool = False, quiet: bool = False) -> None:
    """Starts the supervisor in a session of its own and returns once everything is ready."""
    command = [sys.executable, str(ROOT / "deploy" / "local" / "switchboard"), "--instance", str(instance.directory),
               "supervise", *(["--only-infrastructure"] if only_infrastructure else [])]
    log_file = instance.log / "supervisor.log"
    with log_file.open("ab") as log:
        supervisor = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      start_new_session=True)
    deadline = time.monotonic() + UP_SECONDS
    shown = ""
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            failure = instance.run / "failure"
            raise Refused(failure.read_text() if failure.exists() else tail(log_file, 12))
        try:
            status = ask(instance, do="status")
        except Refused:
            status = {"phase": ""}
        if status["phase"] == "ready":
            return
        if not quiet and status["phase"] not in (shown, "", "stopping"):
            shown = status["phase"]
            print(f"starting: {shown}", flush=True)
        time.sleep(0.1)
    stop(instance)
    raise Refused(f"not ready after {UP_SECONDS} s; see {instance.log}")


def stop(instance: Instance) -> bool:
    """Stops everything in reverse order and returns when the last process is gone. False when nothing was up."""
    if not is_up(instance):
        return False
    try:
        ask(instance, do="stop")
    except Refused:
        pass  # it was stopping already
    deadline = time.monotonic() + DOWN_SECONDS
    while is_up(instance):
        if time.monotonic() > deadline:
            raise Refused(f"still stopping after {DOWN_SECONDS} s; see {instance.log}/supervisor.log")
        time.sleep(0.05)
    return True
