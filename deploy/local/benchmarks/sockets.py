"""Fan-out: one gateway with one loop and many idle sockets, to all of which every frame of a workspace goes."""

import base64
import json
import os
import resource
import selectors
import socket
import time

from board import people
from board.api import API
from board.instance import SETUP, Instance, Refused, free_ports
from board.live import send
from board.programs import ready_page

from .processes import Processes, processor_seconds, resident_bytes, wait_for
from .table import Row

SOCKETS = 2_000
NOTES = 100
DEADLINE = 60


def measure(instance: Instance) -> list[Row]:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, max(files, 4 * SOCKETS)), most))
    api = API(instance.url).signed_in(people.credentials(instance)["user"])
    call = api.get("/api/v1/calls", limit="1")["calls"][0]["id"]
    port, internal = free_ports(2)
    environment = instance.environment("gateway") | {
        "PORT": str(port), "INTERNAL_PORT": str(internal), "LOOPS": "1", "LOG_LEVEL": "error",
        "RATE_LIMIT_SOCKETS_PER_USER": "0"}
    with Processes() as processes:
        gateway = processes.start([instance.binaries / "gateway", "serve"], environment,
                                  SETUP / "test" / "bench-fan-out.log")
        wait_for(lambda: ready_page(port))
        for crowd in (Crowd(port, api.token, 20), Crowd(port, api.token, 20)):  # what a first socket costs once
            crowd.close()
        before = resident_bytes(gateway)
        crowd = Crowd(port, api.token, SOCKETS)
        each = (resident_bytes(gateway) - before) / SOCKETS
        crowd.subscribe()
        used = processor_seconds(gateway)
        began = time.monotonic()
        for _ in range(NOTES):
            api.post(f"/api/v1/calls/{call}/notes", {"note": "To everyone."})
            crowd.receive(0)
        crowd.receive(DEADLINE, SOCKETS * NOTES)
        took = time.monotonic() - began
        used = processor_seconds(gateway) - used
        crowd.close()
    return [
        Row(f"fan-out to {SOCKETS:,} sockets, per core used", f"{crowd.count / used:.0f}/s",
            f"{crowd.count / took:.0f}/s taken"),
        Row("  memory of an idle socket", f"{each:.0f} bytes"),
    ]


class Crowd:
    """Many sockets of one person. It only counts frames: to parse them would take longer than to send them."""

    def __init__(self, port: int, token: str, size: int):
        self.count = 0
        self.lines: list[socket.socket] = []
        self.rest: dict[socket.socket, bytes] = {}
        self.selector = selectors.DefaultSelector()
        key = base64.b64encode(os.urandom(16)).decode()
        hello = (f"GET /ws/calls HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                 f"Sec-WebSocket-Protocol: bearer, {token}\r\n\r\n").encode()
        for _ in range(size):
            line = socket.create_connection(("127.0.0.1", port), timeout=10)
            line.sendall(hello)
            answer = b""
            while b"\r\n\r\n" not in answer:
                part = line.recv(4096)
                if not part:
                    raise Refused(f"the gateway closed a socket after {answer[:80]!r}")
                answer += part
            if b" 101 " not in answer.split(b"\r\n", 1)[0]:
                raise Refused(f"the gateway refused socket {len(self.lines) + 1}: {answer[:80]!r}")
            line.setblocking(False)
            self.rest[line] = answer.split(b"\r\n\r\n", 1)[1]
            self.lines.append(line)
            self.selector.register(line, selectors.EVENT_READ)

    def subscribe(self) -> None:
        for line in self.lines:
            send(line, 1, json.dumps({"event": "subscribe", "data": {"type": "all_calls"}}).encode())
        self.receive(DEADLINE, len(self.lines))
        self.count = 0

    def receive(self, within: float, until: int | None = None) -> None:
        """Takes what is there; with `until`, goes on to that many frames."""
        deadline = time.monotonic() + within
        while until is None or self.count < until:
            ready = self.selector.select(0 if until is None else 0.2)
            for key, _ in ready:
                self._take(key.fileobj)
            if until is None:
                return
            if time.monotonic() > deadline:
                raise Refused(f"{self.count} of {until} frames came within {within} s")

    def _take(self, line: socket.socket) -> None:
        data = line.recv(262_144)
        if not data:
            raise Refused("the gateway closed a socket")
        data = self.rest[line] + data
        at = 0
        while len(data) - at >= 2:
            length, head = data[at + 1] & 0x7F, 2
            if length == 126:
                length, head = int.from_bytes(data[at + 2:at + 4], "big"), 4
            if len(data) - at < head + length:
                break
            self.count += data[at] & 0x0F == 1
            at += head + length
        self.rest[line] = data[at:]

    def close(self) -> None:
        for line in self.lines:
            line.close()
        self.selector.close()
