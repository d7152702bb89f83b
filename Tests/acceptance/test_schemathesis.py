"""Every route of /api/schema/ asked by schemathesis: what the description allows, and what it forbids.

No answer may be a server error, and every answer must be one the description lists: status, type, headers and body. What is
sent comes out of the description, the same on each run. Half of it is as described, with the ids, addresses and passwords of
things that exist put in, so that routes get as far as doing something; half is not.

`EXAMPLES=100 make test ONLY=acceptance/test_schemathesis.py` sends so many of each kind to each route instead of a few.
"""

import os
from collections import Counter
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from jsonschema import Draft202012Validator
from schemathesis import checks
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi

from outside.people import PASSWORD, Person, unique_number
from outside.platform import Platform
from outside.routes import METHODS, SIGNED, Owned, Route, furnished, routes_of

EXAMPLES = int(os.environ.get("EXAMPLES", "4"))
CHECKS = [checks.not_a_server_error, openapi.status_code_conformance, openapi.content_type_conformance,
          openapi.response_headers_conformance, openapi.response_schema_conformance]

# What ends the asker's session, password or account when it works: a person who registered just for that, each time.
FRESH = {
    "POST /api/auth/logout/", "DELETE /api/auth/sessions/", "DELETE /api/auth/sessions/{session_id}/",
    "POST /api/dashboard/user/change-password/", "DELETE /api/dashboard/user/delete-account/", "POST /api/auth/totp/",
    "DELETE /api/auth/totp/", "POST /api/auth/totp/confirm/", "POST /api/auth/totp/recovery-codes/",
    "PATCH /api/users/users/me/", "POST /api/auth/refresh/",
}
# What takes away things or rights that other routes need: somebody else's, who has one of each for this alone.
DOOMED = {
    "POST /api/workspaces/workspaces/{id}/transfer_ownership/", "POST /api/workspaces/workspaces/{id}/remove_users/",
    "PATCH /api/workspaces/workspaces/{id}/users/{user_id}/",
}
# Admins only. Their blacklist is everybody's, and a random range of it could block the numbers of every other test.
ADMINS = {"users.create", "users.promote", "users.delete", "users.status", "audit.read", "plans.write"}
LAST = ["{id}/remove_users/", "DELETE /api/workspaces/workspaces/{id}/", "{id}/transfer_ownership/"]


def description() -> dict:
    answer = requests.get(Platform.from_environment().url + "/api/schema/", timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pytest_generate_tests(metafunc):
    if "route" in metafunc.fixturenames:
        routes = sorted(routes_of(description()), key=lambda route: next(
            (1 + place for place, name in enumerate(LAST) if name in route.name), 0))
        asked = [pytest.param(route, mode, id=f"{route.name} {mode.value}") for route in routes for mode in modes(route)]
        metafunc.parametrize("route, mode", asked)


def modes(route: Route) -> list[GenerationMode]:
    """Where nothing can be sent, nothing wrong can be."""
    takes = "requestBody" in route.operation or any(
        # Whatever stands in a path is a string.
        each["in"] != "path" or each["schema"] != {"type": "string"} for each in route.operation.get("parameters", []))
    return [GenerationMode.POSITIVE] + ([GenerationMode.NEGATIVE] if takes else [])


@pytest.fixture(scope="module")
def document() -> dict:
    return description()


@pytest.fixture(scope="module")
def api(document):
    # Who asks is said by us: invented keys beside the token would be tried as keys, and an address that fails too often has
    # to wait. test_matrix.py asks every route without a right to.
    config = schemathesis.Config.from_dict({
        "generation": {"with-security-parameters": False},
        # Any refusal will do: an If-Match that matches nothing comes before what is wrong with a body.
        "checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}}})
    return schemathesis.openapi.from_dict(document, config=config)


@pytest.fixture(scope="module")
def owned(platform, carrier) -> Owned:
    return furnished(platform, carrier)


@pytest.fixture(scope="module")
def doomed(platform, carrier) -> Owned:
    return furnished(platform, carrier)


@pytest.fixture(scope="module")
def sent():
    """How many requests were answered with what; told at the end (`pytest -s` shows it)."""
    count = Counter()
    yield count
    print(f"\nschemathesis: {sum(count.values())} requests, {dict(sorted(count.items()))}")


def known_values(owned: Owned, person: Person) -> dict:
    """What members and parameters of these names may be, besides anything."""
    return owned.by_field | {
        "user_ids": [owned.by_parameter["user_id"]], "user_id": owned.by_parameter["user_id"],
        "call_id": owned.by_parameter["call_id"], "to_number": unique_number()[:-4] + "0001",
        "email": person.email, "username": person.email, "password": person.password,
        "current_password": person.password, "new_password": PASSWORD + " again", "refresh": person.refresh_token,
        "timezone": "Europe/Berlin", "from_date": "2026-01-01", "to_date": "2099-01-01", "language": "en-US",
        "new_owner": owned.by_parameter["user_id"], "confirm": True,
    }


def is_as_described(case, *places: ParameterLocation) -> bool:
    return not any(case.meta is not None and case.meta.is_negative_at(place) for place in places)


def without_nulls(value):
    if isinstance(value, dict):
        return {name: without_nulls(each) for name, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def counts_as_wrong(case, route: Route, document: dict) -> bool:
    """Whether what was sent is wrong also to who takes a null and an empty parameter for one that is not there, as every
    route does: frontends send the fields nobody filled in."""
    if route.name in SIGNED:
        # Who signed it is answered with what to do next, whatever it was: a refusal is an error tone to a caller.
        return False
    target = requests.Request(**case.as_transport_kwargs(base_url="http://any")).prepare().url
    if "" in dict(parse_qsl(urlsplit(target).query, keep_blank_values=True)).values() or [] in (case.query or {}).values():
        return False
    content = route.operation.get("requestBody", {}).get("content", {}).get("application/json")
    if is_as_described(case, ParameterLocation.BODY) or not content or not isinstance(case.body, dict):
        return True
    wanted = Draft202012Validator(content["schema"] | {"components": document["components"]})
    return not wanted.is_valid(without_nulls(case.body))


def fill(case, route: Route, owned: Owned, person: Person, draw) -> None:
    """Puts names of what exists where the case has invented ones. What is wrong on purpose stays as it is."""
    values = known_values(owned, person)
    if case.path_parameters and is_as_described(case, ParameterLocation.PATH):
        for name in case.path_parameters:
            key = f"{route.path.split('/')[3]}/{name}" if name == "id" else name
            if key in owned.by_parameter and draw(strategies.booleans()):
                case.path_parameters[name] = owned.by_parameter[key]
    containers = [(case.query, ParameterLocation.QUERY)] if case.query else []
    if isinstance(case.body, dict):
        containers.append((case.body, ParameterLocation.BODY))
    for container, place in containers:
        if is_as_described(case, place):
            for name in container:
                if name in values and draw(strategies.booleans()):
                    container[name] = values[name]


def signature(case, platform: Platform, carrier) -> dict:
    """What the carrier would put over this webhook."""
    request = requests.Request(**case.as_transport_kwargs(base_url=platform.url)).prepare()
    form = {name: values[0] for name, values in parse_qs(request.body or "", keep_blank_values=True).items()}
    return {"X-Twilio-Signature": carrier.signature(request.url, form)}


def asker(route: Route, platform, admin, owned) -> Person:
    if route.name in FRESH:
        return Person.registered(platform)
    if route.operation.get("x-switchboard-access") in ADMINS:
        return admin
    return owned.person


def test_every_answer_is_as_described(platform, document, api, owned, doomed, admin, carrier, sent, route, mode):
    operation = api[route.path][route.method]
    things = doomed if route.method == "DELETE" or route.name in DOOMED else owned

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(data=strategies.data())
    def examine(data):
        person = asker(route, platform, admin, things)
        case = data.draw(operation.as_strategy(generation_mode=mode))
        fill(case, route, things, person, data.draw)
        headers = {"Authorization": f"Bearer {person.token}"} if route.operation["security"] else {}
        if route.name in SIGNED and route.method == "POST" and data.draw(strategies.booleans()):
            headers = signature(case, platform, carrier)
        answer = case.call(base_url=platform.url, headers=headers, timeout=30, allow_redirects=False)
        if answer.status_code == 401 and things is doomed and person is doomed.person:
            # Who loses a workspace, or their part in it, needs a token that says so.
            headers = {"Authorization": f"Bearer {person.renew(cut=False).token}"}
            answer = case.call(base_url=platform.url, headers=headers, timeout=30, allow_redirects=False)
        sent[answer.status_code] += 1
        assert answer.status_code != 401 or not route.operation["security"], f"the token is cut: {answer.text}"
        judges = CHECKS + [openapi.negative_data_rejection] * counts_as_wrong(case, route, document)
        case.validate_response(answer, checks=judges, headers=headers)

    examine()


def test_a_method_the_description_does_not_list_is_refused(platform, document):
    wrong = []
    for path, item in document["paths"].items():
        for method in METHODS - set(item):
            answer = requests.request(method, platform.url + path.replace("{", "").replace("}", ""), timeout=10)
            # What only speaks WebSocket says so whatever it is asked.
            if not (answer.status_code == 405 and answer.headers.get("Allow") or answer.status_code == 426):
                wrong.append(f"{method.upper()} {path}: {answer.status_code} {answer.text[:100]}")
    assert wrong == []
