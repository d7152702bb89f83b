"""How late anything is on this machine while something is measured: the round trips of one byte to another process.

What both have in common, busy cores above all, is not the platform's doing; read latencies beside this.
"""

import socket
import subprocess
import sys
import threading
import time

EVERY = 0.01


class Echo:
    """Measures inside a `with`; `milliseconds` are the round trips."""

    def __enter__(self) -> "Echo":
        self.milliseconds: list[float] = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.child = subprocess.Popen([sys.executable, __file__, str(listener.getsockname()[1])])
            self.line, _ = listener.accept()
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._measure)
        self.thread.start()
        return self

    def _measure(self) -> None:
        while not self.stop.wait(EVERY):
            began = time.monotonic()
            self.line.sendall(b"?")
            self.line.recv(1)
            self.milliseconds.append((time.monotonic() - began) * 1000)

    def __exit__(self, *error) -> None:
        self.stop.set()
        self.thread.join()
        self.line.close()
        self.child.wait(10)


def answer(port: int) -> None:
    """The other process: echoes until this end closes."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := line.recv(16):
            line.sendall(data)


if __name__ == "__main__":
    answer(int(sys.argv[1]))
