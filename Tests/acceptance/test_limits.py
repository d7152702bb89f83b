"""Document 003 §8: how often one may ask. A gateway of its own, in front of the same programs, with small limits."""

import pytest
import requests

from outside.people import Person, error_code
from outside.programs import Extra

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
