"""Every route of /api/schema/, asked by nobody, by somebody of another workspace, and by an admin.

The routes come from the description itself, so that a new one is asked too; a new kind of path parameter or public
route has to be named here before it passes.
"""

import re

import pytest
import requests

from outside.people import Person
from outside.routes import ABOUT_THE_CALLER, FILTERS, PUBLIC, SHARED, SIGNED, SOCKETS, Owned, body_of, furnished, routes_of


@pytest.fixture(scope="module")
def schema(platform):
    return requests.get(platform.url + "/api/schema/", timeout=20).json()


@pytest.fixture(scope="module")
def routes(schema):
    return routes_of(schema)


@pytest.fixture(scope="module")
def owned(platform, carrier) -> Owned:
    return furnished(platform, carrier)


def test_no_route_is_public_that_is_not_listed_as_such(routes):
    open_ones = {route.name for route in routes if not route.operation.get("security")}
    assert open_ones - PUBLIC - SIGNED - SOCKETS == set()
    assert {route.name for route in routes if route.operation["x-switchboard-access"] == "everyone"} <= PUBLIC | SOCKETS
    assert {route.name for route in routes if route.operation["x-switchboard-access"] == "signed"} == SIGNED
    assert PUBLIC <= {route.name for route in routes} | {"GET /healthz", "GET /readyz"}


def test_nobody_gets_nowhere(platform, routes, schema, owned):
    wrong = []
    for route in routes:
        if route.name in PUBLIC:
            continue
        if route.name in SIGNED:
            target, expected = re.sub(r"\{token\}", "x", route.path), (403, 404, 426)
        elif route.name in SOCKETS:
            target, expected = route.path, (401, 426)
        else:
            target, expected = route.target(owned), (401,)
        body, _ = body_of(route, schema, owned, foreign=True)
        how = {"data": {"CallSid": "CA1"}} if route.name in SIGNED else {"json": body}
        answer = requests.request(route.method, platform.url + target, timeout=10, allow_redirects=False, **how)
        if answer.status_code not in expected:
            wrong.append(f"{route.name}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []


def test_somebody_of_another_workspace_sees_and_changes_nothing(platform, routes, schema, owned):
    other, wrong = Person.registered(platform), []
    for route in routes:
        if route.name in PUBLIC | SIGNED | SOCKETS | SHARED:
            continue
        asker = Person.registered(platform) if route.name in ABOUT_THE_CALLER else other
        body, names_foreign = body_of(route, schema, owned, foreign=route.name not in ABOUT_THE_CALLER)
        answer = asker.ask(route.method, route.target(owned), body)
        names_foreign = names_foreign and route.name not in FILTERS
        refused = answer.status_code in (403, 404)
        if route.names_a_thing and not refused:
            wrong.append(f"{route.name}: {answer.status_code} {answer.text[:200]}")
        elif names_foreign and not refused and answer.status_code not in (400, 409, 422):
            wrong.append(f"{route.name} naming another's: {answer.status_code} {answer.text[:200]}")
        elif not refused and answer.status_code < 400 and any(each in answer.text for each in owned.ids):
            wrong.append(f"{route.name} tells of another's: {answer.text[:200]}")
        elif answer.status_code >= 500:
            wrong.append(f"{route.name}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []


def tells(row) -> bool:
    """A period in which nothing happened tells of nobody."""
    numbers = [value for value in row.values() if isinstance(value, (int, float))] if isinstance(row, dict) else []
    return not numbers or "id" in row or any(numbers)


def test_filters_by_anothers_ids_find_nothing(platform, routes, owned):
    other, wrong = Person.registered(platform), []
    for route in routes:
        if route.method != "GET" or route.names_a_thing or route.name in PUBLIC | SOCKETS | SHARED:
            continue
        names = {parameter["name"] for parameter in route.operation.get("parameters", []) if parameter["in"] == "query"}
        for name in names & ({"business_id", "agent", "agent_id", "workspace", "call_id", "search"}):
            value = owned.by_parameter["call_id"] if name in ("call_id", "search") else owned.by_field[name]
            query = {name: value} | ({"q": "hours"} if "q" in names else {})
            answer = other.ask("GET", route.path, params=query)
            told = answer.json()
            rows = [row for each in told.values() if isinstance(each, list) for row in each] if answer.status_code == 200 else []
            if answer.status_code not in (200, 400, 403, 404) or any(map(tells, rows)):
                wrong.append(f"{route.name}?{name}=: {answer.status_code} {answer.text[:200]}")
    assert wrong == []


def test_an_admin_is_let_in_everywhere(platform, carrier, routes, schema, admin):
    """What is deleted comes last, each thing after what hangs on it. It is nobody else's: with the workspace its calls are
    erased, a moment later."""
    owned, wrong = furnished(platform, carrier), []
    order = {"GET": 0, "POST": 1, "PUT": 2, "PATCH": 3, "DELETE": 4}
    last = ["business", "/workspaces/workspaces/"]
    for route in sorted(routes, key=lambda route: (order[route.method], [part in route.path for part in reversed(last)])):
        if route.name in PUBLIC | SIGNED | SOCKETS | ABOUT_THE_CALLER:
            continue
        body, _ = body_of(route, schema, owned, foreign=route.method != "POST")
        answer = admin.ask(route.method, route.target(owned), body, params={"q": "hours"} if "search" in route.path else None)
        if answer.status_code in (401, 403, 404, 405) or answer.status_code >= 500:
            wrong.append(f"{route.name}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []


def test_a_list_of_an_admin_holds_what_others_own(owned, admin):
    found = admin.get("/api/v1/calls", search=owned.by_parameter["call_id"])["calls"]
    assert [call["id"] for call in found] == [owned.by_parameter["call_id"]]
