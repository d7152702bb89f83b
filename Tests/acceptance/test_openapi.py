"""The description at /api/schema/, the pages that show it, and the routes behind it."""

import re
from html.parser import HTMLParser

import pytest
import requests
from openapi_spec_validator import validate

from outside.people import error_code
from outside.platform import PROGRAMS

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def schema(platform):
    answer = requests.get(platform.url + "/api/schema/", timeout=20)
    assert answer.status_code == 200
    assert "X-Missing-Programs" not in answer.headers, answer.headers.get("X-Missing-Programs")
    return answer.json()


def operations(document):
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield method, path, operation


def test_the_description_is_valid_openapi(schema):
    assert schema["openapi"].startswith("3.1")
    validate(schema)


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(schema):
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(names) == len(set(names))
    assert not [path for _, path, operation in operations(schema) if not operation.get("summary")]


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_route_of_a_program_is_described_and_reached_through_the_gateway(platform, schema, program):
    own = requests.get(platform.internal_url(program) + "/openapi.json", timeout=10).json()
    for method, path, operation in operations(own):
        if operation.get("x-switchboard-access") == "internal" or path in ("/healthz", "/readyz", "/metrics"):
            continue
        described = schema["paths"].get(path, {}).get(method)
        assert described, f"{method.upper()} {path} is not in /api/schema/"
        assert described["x-switchboard-program"] == program, f"{path} is described as somebody else's"
        target = re.sub(r"\{\w+\}", "00000000-0000-7000-8000-000000000000", path)
        answer = requests.request(method, platform.url + target, timeout=10, allow_redirects=False)
        # A program that does not know the path says ROUTE_NOT_FOUND; only its owner can say anything else.
        if answer.status_code in (404, 405):
            assert error_code(answer) not in ("ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED"), f"{method} {path}: {answer.text}"
        assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text[:300]}"


def test_internal_routes_are_not_reached_from_outside(platform, schema, owner):
    for program in PROGRAMS:
        own = requests.get(platform.internal_url(program) + "/openapi.json", timeout=10).json()
        for method, path, operation in operations(own):
            if operation.get("x-switchboard-access") == "internal":
                assert path not in schema["paths"]
                assert owner.ask(method.upper(), path).status_code == 404, path
    for path in ("/metrics", "/internal/search", "/openapi.json"):
        assert requests.get(platform.url + path, timeout=10).status_code == 404, path


def test_an_unknown_path_and_a_wrong_method_answer_in_their_familys_words(platform, owner):
    manager = owner.ask("GET", "/api/v1/nothing/here")
    assert manager.status_code == 404 and manager.json()["error"]["code"] == "ROUTE_NOT_FOUND"
    classic = owner.ask("GET", "/api/nothing/here/")
    assert classic.status_code == 404 and classic.json()["code"] == "ROUTE_NOT_FOUND"
    assert classic.json()["status"] == 404 and classic.json()["detail"]
    wrong = owner.ask("PUT", "/api/v1/calls")
    assert wrong.status_code == 405 and "GET" in wrong.headers["Allow"]


def test_a_slash_more_or_less_is_never_a_redirect(owner):
    assert owner.ask("GET", "/api/v1/calls/").status_code == 200
    assert owner.ask("GET", "/api/agents/agents").status_code == 200
    assert owner.ask("POST", "/api/agents/agents", {}).status_code == 400


def test_every_answer_carries_a_request_id_and_keeps_a_given_one(owner):
    assert owner.ask("GET", "/api/v1/calls").headers["X-Request-Id"]
    given = owner.ask("GET", "/api/v1/calls", headers={"X-Request-Id": "mine-123"})
    assert given.headers["X-Request-Id"] == "mine-123"


class Fetches(HTMLParser):
    """What a page loads by itself."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = {"script": "src", "link": "href", "img": "src", "iframe": "src"}.get(tag)
        if name and attributes.get(name):
            self.found.append(attributes[name])


@pytest.mark.parametrize("path", ["/api/docs/", "/swagger/", "/api/redoc/", "/redoc/", "/live", "/"])
def test_a_page_answers_and_fetches_nothing_from_elsewhere(platform, path):
    answer = requests.get(platform.url + path, timeout=10)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
    page = Fetches()
    page.feed(answer.text)
    for target in page.found:
        if target.startswith("data:"):
            continue
        assert target.startswith("/") and not target.startswith("//"), target
        assert requests.get(platform.url + target, timeout=20).status_code == 200, target
    assert not re.search(r"(src|href|url)\s*[=(:]\s*[\"']?(https?:)?//", answer.text)
