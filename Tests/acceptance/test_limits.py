"""Document 003 §8: how often one may ask. A gateway of its own, in front of the same programs, with small limits."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from outside.people import Person, error_code
from outside.platform import ROOT, eventually

sys.path.insert(0, str(ROOT / "deploy" / "local"))
from board.instance import Instance  # noqa: E402

STANDARD, ANALYTICS, ANONYMOUS = 5, 2, 4


@pytest.fixture(scope="module")
def strict(platform, tmp_path_factory):
    """The address of a gateway that counts."""
    instance = Instance(platform.directory, Path(os.environ["SWITCHBOARD_BINARIES"]))
    ports = []
    for held in [socket.socket(), socket.socket()]:
        held.bind(("127.0.0.1", 0))
        ports.append((held, held.getsockname()[1]))
    for held, _ in ports:
        held.close()
    environment = instance.environment("gateway") | {
        "PORT": str(ports[0][1]), "INTERNAL_PORT": str(ports[1][1]),
        "RATE_LIMIT_STANDARD_PER_MINUTE": str(STANDARD), "RATE_LIMIT_ANALYTICS_PER_MINUTE": str(ANALYTICS),
        "RATE_LIMIT_ANONYMOUS_PER_MINUTE": str(ANONYMOUS)}
    log = tmp_path_factory.mktemp("strict") / "gateway.log"
    with log.open("wb") as out:
        gateway = subprocess.Popen([str(instance.binaries / "gateway"), "serve"], env=environment, stdout=out, stderr=out)
    url = f"http://127.0.0.1:{ports[0][1]}"

    def ready():
        assert gateway.poll() is None, log.read_text()[-2000:]
        try:
            return requests.get(url + "/readyz", timeout=2).status_code == 200
        except requests.ConnectionError:
            return False
    try:
        eventually(ready, 30, "the strict gateway is ready")
        yield url
    finally:
        gateway.terminate()
        gateway.wait(30)


def ask(url, path, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.get(url + path, headers=headers, timeout=10)


def use_up(url, path, limit, token=None):
    """Asks until refused. A minute may turn meanwhile, so twice the limit is the most there can be."""
    answers = []
    for _ in range(2 * limit + 1):
        answers.append(ask(url, path, token))
        if answers[-1].status_code == 429:
            return answers
    raise AssertionError(f"{path} was answered {2 * limit + 1} times")


@pytest.mark.parametrize("path, limit", [("/api/v1/calls", STANDARD), ("/api/v1/analytics/overview", ANALYTICS)])
def test_a_person_may_ask_so_often_a_minute_and_is_told_how_often(platform, strict, path, limit):
    person = Person.registered(platform)
    answers = use_up(strict, path, limit, person.token)
    first, last = answers[0], answers[-1]
    assert first.status_code == 200
    assert first.headers["X-RateLimit-Limit"] == str(limit)
    assert first.headers["X-RateLimit-Remaining"] == str(limit - 1)
    assert int(first.headers["X-RateLimit-Reset"]) > 0
    assert len(answers) > limit
    assert error_code(last) == "RATE_LIMITED" and 1 <= int(last.headers["Retry-After"]) <= 60


def test_one_persons_requests_do_not_count_for_another(platform, strict):
    use_up(strict, "/api/v1/calls", STANDARD, Person.registered(platform).token)
    assert ask(strict, "/api/v1/calls", Person.registered(platform).token).status_code == 200


def test_what_the_carrier_and_probes_ask_is_not_counted(strict):
    use_up(strict, "/api/users/users/me/", ANONYMOUS)
    for path in ("/readyz", "/api/schema/", "/.well-known/jwks.json", "/api/docs/"):
        assert ask(strict, path).status_code == 200, path
    for _ in range(ANONYMOUS + 2):
        assert requests.post(strict + "/api/calls/twilio-webhook/", data={"CallSid": "CA1"}, timeout=10).status_code == 403
