"""A `/ws/calls` socket, as a browser would hold one."""

import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .people import Person

TICKET = "/api/v1/ws/ticket"


class Stream:
    def __init__(self, person: Person, query: str | None = None, at: str | None = None):
        """`query` says how to log in; the sub-protocol does unless it is given. `at`: another gateway's address."""
        base = at.replace("http", "ws", 1) if at else person.platform.websocket_url("")
        url = base + "/ws/calls" + (query or "")
        protocols = None if query is not None else ["bearer", person.token]
        self.opened = ExitStack()
        # Without a bound on the queue: a close waits for what nobody reads otherwise.
        self.socket = self.opened.enter_context(
            connect(url, subprotocols=protocols, open_timeout=10, max_size=None, max_queue=None))
        self.frames: list[dict] = []
        self.read = 0  # how many of them `next` has given away

    def close(self) -> None:
        self.opened.close()

    def cut(self) -> None:
        """Breaks the connection off without a word, as a lost network does."""
        with suppress(OSError):
            self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.close()

    def send(self, event: str, data: dict | None = None) -> None:
        self.socket.send(json.dumps({"event": event, "data": data or {}}))

    def request(self, event: str, data: dict | None = None, answers: tuple[str, ...] = ()) -> dict:
        """Sends and returns the answer to it, whatever frames come in between."""
        self.send(event, data)
        names = answers or ("subscribed", "unsubscribed", "resumed", "resync", "pong", "error")
        return self.wait_for(lambda frame: frame["event"] in names)

    def subscribe(self, call_id: str | None = None) -> dict:
        data = {"type": "call", "call_id": call_id} if call_id else {"type": "all_calls"}
        answer = self.request("subscribe", data)
        assert answer["event"] == "subscribed", answer
        return answer

    def wait_for(self, wanted: Callable[[dict], bool] | str, seconds: float = 15) -> dict:
        """The next frame of that kind. Frames before it are kept in `frames`."""
        deadline = time.monotonic() + seconds
        is_wanted = (lambda frame: frame["event"] == wanted) if isinstance(wanted, str) else wanted
        while True:
            while self.read < len(self.frames):
                frame = self.frames[self.read]
                self.read += 1
                if is_wanted(frame):
                    return frame
            try:
                self.frames.append(json.loads(self.socket.recv(timeout=max(0, deadline - time.monotonic()))))
            except TimeoutError:
                seen = [frame["event"] for frame in self.frames]
                raise AssertionError(f"no such frame within {seconds} s: {wanted}; seen {seen}") from None

    def wait_for_close(self, seconds: float) -> int:
        """The code the server closes with."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                self.frames.append(json.loads(self.socket.recv(timeout=max(0, deadline - time.monotonic()))))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the connection broke without a close frame"
            return closed.rcvd.code
        except TimeoutError:
            raise AssertionError(f"still open after {seconds} s") from None

    def ids(self) -> list[int]:
        return [int(frame["id"]) for frame in self.frames if "id" in frame]
