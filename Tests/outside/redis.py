"""A Valkey or Redis of the test's own, which keeps nothing."""

import shutil
import socket
import subprocess
from contextlib import suppress

from .platform import eventually
from .programs import free_ports


class Redis:
    def __init__(self, *options: str):
        binary = next(filter(None, map(shutil.which, ["valkey-server", "redis-server"])), None)
        assert binary, "no valkey-server or redis-server: deploy/local/setup tests"
        self.port = free_ports(1)[0]
        self.command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                        "--dir", "/tmp", *options]
        self.process = None

    def __enter__(self) -> "Redis":
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self.kill()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def listens():
            assert self.process.poll() is None, "the server ended"
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        eventually(listens, 10, "the server listens")

    def kill(self) -> None:
        """Without a word, and everything it held with it."""
        self.process.kill()
        self.process.wait()

    def say(self, *words: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as line:
            line.sendall((" ".join(words) + "\r\nQUIT\r\n").encode())
            return b"".join(iter(lambda: line.recv(65_536), b"")).decode()
