"""Document 003 §8: how often one may ask. A gateway of its own, in front of the same programs, with small limits; and two
that count together."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from websockets.exceptions import InvalidStatus

from outside.people import Person, error_code
from outside.platform import eventually
from outside.programs import Extra
from outside.redis import Redis
from outside.stream import TICKET, Stream

STANDARD, ANALYTICS, ANONYMOUS = 5, 2, 4


@pytest.fixture(scope="module")
def strict(platform, tmp_path_factory):
    """The address of a gateway that counts."""
    log = tmp_path_factory.mktemp("strict") / "gateway.log"
    with Extra(platform, "gateway", log, RATE_LIMIT_STANDARD_PER_MINUTE=str(STANDARD),
               RATE_LIMIT_ANALYTICS_PER_MINUTE=str(ANALYTICS),
               RATE_LIMIT_ANONYMOUS_PER_MINUTE=str(ANONYMOUS)) as gateway:
        yield gateway.ready().url


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


# ---- several gateways


@pytest.fixture
def redis():
    with Redis("--requirepass", "open:sesame") as server:
        yield server


@pytest.fixture
def pair(platform, redis, tmp_path):
    """Two gateways with the limits of document 003 that count together."""
    # A busy machine may let the server wait longer than it would in earnest.
    settings = {"REDIS_URL": f"redis://:open%3Asesame@127.0.0.1:{redis.port}/1", "REDIS_ANSWER_MILLISECONDS": "2000", "RATE_LIMIT_STANDARD_PER_MINUTE": "100",
                "RATE_LIMIT_ANALYTICS_PER_MINUTE": "20", "RATE_LIMIT_ANONYMOUS_PER_MINUTE": "60"}
    with (Extra(platform, "gateway", tmp_path / "one.log", **settings) as one,
          Extra(platform, "gateway", tmp_path / "two.log", **settings) as two):
        yield one.ready(), two.ready()


def within_one_minute(seconds: float = 25) -> None:
    """Waits for the next minute if this one is nearly over, so that no window turns in the middle of a test."""
    left = 60 - time.time() % 60
    if left < seconds:
        time.sleep(left)


def passed(pair, count, token, path="/api/v1/calls") -> int:
    """How many of so many requests, half of them through each gateway, are answered."""
    def one(number):
        return ask(pair[number % 2].url, path, token).status_code
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(one, range(count)))
    assert set(codes) <= {200, 429}, codes
    return codes.count(200)


def readiness(gateway) -> dict:
    answer = gateway.answer("/readyz")
    assert answer.status_code == 200, answer.text
    return answer.json()


def internal_metric(gateway, name) -> float:
    text = requests.get(f"http://127.0.0.1:{gateway.internal}/metrics", timeout=10).text
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[-1])


def test_two_gateways_together_let_through_what_one_would(platform, pair):
    within_one_minute()
    person = Person.registered(platform)
    assert passed(pair, 160, person.token) == 100
    assert passed(pair, 40, person.token, "/api/v1/analytics/overview") == 20
    assert readiness(pair[0])["ready"] and "degraded" not in readiness(pair[0])


def test_without_the_server_each_gateway_goes_on_for_itself_and_says_so(platform, pair, redis):
    within_one_minute(45)
    redis.kill()
    eventually(lambda: all("limits" in readiness(gateway).get("degraded", {}) for gateway in pair), 5, "both say so")
    assert all(readiness(gateway)["ready"] and internal_metric(gateway, "gateway_limits_degraded") == 1 for gateway in pair)
    person = Person.registered(platform)
    began = time.monotonic()
    assert ask(pair[0].url, "/api/v1/calls", person.token).headers["X-RateLimit-Remaining"] == "99"
    assert ask(pair[1].url, "/api/v1/calls", person.token).headers["X-RateLimit-Remaining"] == "99"
    assert time.monotonic() - began < 2
    redis.start()
    eventually(lambda: not any(readiness(gateway).get("degraded") for gateway in pair), 10, "both are back")
    assert all(internal_metric(gateway, "gateway_limits_degraded") == 0 for gateway in pair)
    other = Person.registered(platform)
    assert passed(pair, 130, other.token) == 100
    for gateway in pair:
        told = [line for line in gateway.log.read_text().splitlines() if '"limits.degraded"' in line]
        assert len(told) == 1, told
        assert "sesame" not in gateway.log.read_text()


def test_sockets_are_counted_over_both_gateways(platform, pair):
    person = Person.registered(platform)
    opened = []
    try:
        for number in range(10):
            opened.append(Stream(person, at=pair[number % 2].url))
        for gateway in pair:
            with pytest.raises(InvalidStatus) as error:
                Stream(person, at=gateway.url)
            assert error.value.response.status_code == 429 and error.value.response.headers["Retry-After"]
        opened.pop().close()

        def another():
            try:
                return Stream(person, at=pair[0].url)
            except InvalidStatus:
                return None
        opened.append(eventually(another, 5, "a closed socket counts no more"))
    finally:
        for stream in opened:
            stream.close()


def test_a_ticket_opens_one_socket_at_one_of_the_gateways(platform, pair):
    person = Person.registered(platform)
    ticket = person.post(TICKET, status=201)["ticket"]
    Stream(person, query=f"?ticket={ticket}", at=pair[0].url).close()
    with pytest.raises(InvalidStatus) as error:
        Stream(person, query=f"?ticket={ticket}", at=pair[1].url)
    assert error.value.response.status_code == 401


def test_what_the_server_keeps_names_nobody_and_goes_away(platform, pair, redis):
    person = Person.registered(platform)
    ask(pair[0].url, "/api/v1/calls", person.token)
    keys = [line for line in redis.say("AUTH open:sesame\r\nSELECT 1\r\nKEYS *").splitlines() if line.startswith("switchboard:")]
    assert len(keys) >= 2
    for key in keys:
        assert person.user["id"] not in key and "127.0.0.1" not in key
        left = redis.say(f"AUTH open:sesame\r\nSELECT 1\r\nTTL {key}").splitlines()[2]
        assert 0 < int(left[1:]) <= 120, (key, left)
