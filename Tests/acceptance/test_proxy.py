"""The gateway as a proxy, in front of a program that does everything wrong (RFC 9112, 9110: facts about HTTP/1.1)."""

import json
import socket
import threading
from contextlib import suppress

import pytest
import requests

from outside.programs import Extra

PREFIX = "/api/v1/analytics"
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

ANSWERS = {
    "plain": HEAD + "Content-Length: 2\r\n\r\nok",
    "short": HEAD + "Content-Length: 200000\r\n\r\nonly this",
    "short-chunks": HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "folded": HEAD + "X-Folded: one\r\n two\r\nContent-Length: 2\r\n\r\nok",
    "two-lengths": HEAD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    "both-framings": HEAD + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "bare-lf": "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "not-http": "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "hop-by-hop": HEAD + "Connection: keep-alive, X-Secret\r\nKeep-Alive: timeout=9\r\nX-Secret: 1\r\nX-Open: 2\r\n"
                         "Proxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
    "chunks": HEAD + "Transfer-Encoding: chunked\r\n\r\n2;name=value\r\nok\r\n0\r\nX-Trailer: never\r\n\r\n",
    "silent": "",
}


class Upstream:
    """Answers each path as it is written above, and remembers the raw requests."""

    def __init__(self, always: str | None = None):
        self.always = always
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.ended = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(line,), daemon=True).start()

    def serve(self, line: socket.socket):
        with suppress(OSError), line:
            while True:
                whole = b""
                while b"\r\n\r\n" not in whole:
                    piece = line.recv(65_536)
                    if not piece:
                        self.ended += 1
                        return
                    whole += piece
                self.requests.append(whole)
                name = self.always or whole.split(b" ")[1].decode().rsplit("/", 1)[1].split("?")[0]
                line.sendall(ANSWERS[name].encode())
                if name not in ("plain", "hop-by-hop", "chunks"):
                    return

    def of(self, name: str) -> list[str]:
        return [each.decode() for each in self.requests if f"/{name} ".encode() in each]


@pytest.fixture(scope="module")
def upstream():
    made = Upstream()
    yield made
    made.listener.close()


@pytest.fixture(scope="module")
def gateway(platform, upstream, tmp_path_factory):
    log = tmp_path_factory.mktemp("proxy") / "gateway.log"
    with Extra(platform, "gateway", log, QA_ANALYTICS_URLS=upstream.url) as gateway:
        yield gateway.ready()


def ask(gateway, name: str, **headers) -> requests.Response:
    return requests.get(f"{gateway.url}{PREFIX}/{name}", headers=headers, timeout=10)


def raw(gateway, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", gateway.port)) as line:
        line.sendall(text.encode())
        line.settimeout(5)
        whole = b""
        with suppress(TimeoutError, ConnectionResetError):
            while piece := line.recv(65_536):
                whole += piece
        return whole


@pytest.mark.parametrize("name", ["folded", "two-lengths", "both-framings", "bare-lf", "not-http", "silent"])
def test_an_answer_two_readers_could_read_differently_is_a_502(gateway, name):
    answer = ask(gateway, name)
    assert answer.status_code == 502 and json.loads(answer.text)["error"]["code"]


@pytest.mark.parametrize("name", ["short", "short-chunks"])
def test_an_answer_cut_short_is_no_whole_answer(gateway, upstream, name):
    text = raw(gateway, f"GET {PREFIX}/{name} HTTP/1.1\r\nHost: h\r\n\r\n")
    status = text.split(b" ")[1]
    if status == b"200":
        # It had begun: the reader must be able to tell that it is not all.
        assert b"Content-Length: 200000" in text or not text.endswith(b"0\r\n\r\n"), text[-200:]
    else:
        assert status == b"502"


def test_hop_by_hop_fields_stay_with_their_hop(gateway, upstream):
    answer = ask(gateway, "hop-by-hop", **{"Connection": "X-Mine", "X-Mine": "1", "X-Other": "2", "TE": "trailers"})
    assert answer.status_code == 200 and answer.headers["X-Open"] == "2"
    assert not {"X-Secret", "Keep-Alive", "Proxy-Authenticate"} & set(answer.headers)
    seen = upstream.of("hop-by-hop")[-1].lower()
    assert "x-other: 2" in seen and "x-mine" not in seen and "\r\nte:" not in seen


def test_what_a_stranger_says_in_our_fields_never_arrives(gateway, upstream):
    ask(gateway, "plain", **{"X-User-Id": "root", "X-Workspace-Id": "all", "X-Forwarded-For": "6.6.6.6",
                             "X-Forwarded-Host": "evil", "Forwarded": "for=6.6.6.6"})
    seen = upstream.of("plain")[-1]
    assert "6.6.6.6" not in seen and "root" not in seen and "evil" not in seen
    assert "X-Forwarded-For: 127.0.0.1" in seen and seen.lower().count("\r\nx-forwarded-for:") == 1


def test_a_request_is_written_anew_and_never_passed_on_raw(gateway, upstream):
    before = len(upstream.of("plain"))
    text = raw(gateway, f"GET {PREFIX}/plain HTTP/1.1\r\nhOsT:h\r\nx-odd:   spaced   \r\nConnection: close\r\n\r\n")
    assert text.startswith(b"HTTP/1.1 200"), text
    seen = upstream.of("plain")[-1]
    assert len(upstream.of("plain")) == before + 1 and "hOsT: h\r\nx-odd: spaced\r\n" in seen


def test_a_smuggled_request_reaches_nobody(gateway, upstream):
    before = len(upstream.requests)
    for fields, body in [("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"),
                         ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\nG"),
                         ("Content-Length: 1\r\nContent-Length: 0", "G"), ("Content-Length : 1", "G")]:
        text = raw(gateway, f"POST {PREFIX}/plain HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n{body}"
                            f"ET {PREFIX}/plain HTTP/1.1\r\nHost: h\r\n\r\n")
        assert text.startswith(b"HTTP/1.1 400") and text.count(b"HTTP/1.1") == 1, text
    assert len(upstream.requests) == before


def test_chunks_are_understood_and_their_trailers_are_not_fields(gateway):
    answer = ask(gateway, "chunks")
    assert answer.text == "ok" and "X-Trailer" not in answer.headers


def test_only_what_may_be_done_twice_is_sent_twice(gateway, upstream):
    for method, times in (("POST", 1), ("GET", 3)):
        before = len(upstream.of("silent"))
        answer = requests.request(method, f"{gateway.url}{PREFIX}/silent", timeout=10)
        assert answer.status_code == 502
        assert len(upstream.of("silent")) - before <= times
        if method == "POST":
            assert len(upstream.of("silent")) - before == 1


def test_retries_are_a_small_part_of_all_requests(gateway, upstream):
    before, asked = len(upstream.of("silent")), 100
    for _ in range(asked):
        ask(gateway, "silent")
    # Two loops with ten retries saved up each, and one for ten requests.
    assert len(upstream.of("silent")) - before <= asked * 1.1 + 2 * 10


def test_a_replica_that_breaks_off_is_left_alone(platform, upstream, tmp_path):
    broken = Upstream(always="silent")
    with Extra(platform, "gateway", tmp_path / "gateway.log", QA_ANALYTICS_URLS=f"{broken.url},{upstream.url}") as gateway:
        gateway.ready()
        for _ in range(60):
            assert ask(gateway, "plain").text == "ok"
    # Each of two loops leaves it alone for 0.25 s, then 0.5 s, …: it is asked a handful of times, not every other time.
    assert 1 <= len(broken.requests) <= 12
    broken.listener.close()
