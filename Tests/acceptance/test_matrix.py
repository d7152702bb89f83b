"""Every route of /api/schema/ × everybody who might ask: what docs/permissions.md says is what happens.

The routes come from the description and the rights from the page, so a new route joins by being served. Each asker finds a
workspace of its own with one of each thing in it: what one deletes is not missing for the next.
"""

import re
from dataclasses import dataclass

import pytest
import requests

from outside.people import Person, bad_fields, unique
from outside.platform import ROOT, eventually
from outside.programs import Extra
from outside.routes import (
    ABOUT_THE_CALLER, FILTERS, PUBLIC, SHARED, SIGNED, SOCKETS, Owned, Route, body_of, furnished, routes_of)

MEMBERS = ["viewer", "agent", "manager", "owner"]
# Their own business although they are named by an id, or open to everybody who has an account.
OWN = ABOUT_THE_CALLER | SHARED
ORDER = {"GET": 0, "POST": 1, "PUT": 2, "PATCH": 3, "DELETE": 4}


@dataclass
class Grant:
    oneself: bool
    least: str | None
    staff: bool

    def is_for(self, role: str) -> bool:
        return self.least is not None and MEMBERS.index(role) >= MEMBERS.index(self.least)


def grants() -> dict[str, Grant]:
    page = (ROOT / "docs" / "permissions.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| (yes)? ?\| (\w+)? ?\| (yes)? ?\|$", page, re.M)
    return {action: Grant(bool(own), least or None, bool(staff)) for action, own, least, staff in rows}


GRANTS = grants()


@pytest.fixture(scope="module")
def schema(platform) -> dict:
    return requests.get(platform.url + "/api/schema/", timeout=20).json()


@pytest.fixture(scope="module")
def routes(schema) -> list[Route]:
    """Those that ask who one is, what is deleted last, and each thing after what hangs on it."""
    guarded = [each for each in routes_of(schema) if each.name not in PUBLIC | SIGNED | SOCKETS]
    return sorted(guarded, key=lambda each: (ORDER[each.method], "workspaces/workspaces/{id}" in each.path,
                                             -each.path.count("{"), "business" in each.path))


def ask(person: Person, route: Route, schema: dict, owned: Owned) -> tuple[requests.Response, bool]:
    """The answer, and whether the request named something of the workspace at all."""
    body, named = body_of(route, schema, owned, foreign=True)
    query = {"q": "hours"} if "search" in route.path else None
    names = route.names_a_thing or named and route.name not in FILTERS
    return person.ask(route.method, route.target(owned), body, params=query), names


@pytest.fixture(scope="module", autouse=True)
def short_lived(platform, admin, tmp_path_factory) -> str:
    """A token of a second auth, the same but for how long its tokens live. Taken first, used last: a clock may be half a
    minute behind."""
    with Extra(platform, "auth", tmp_path_factory.mktemp("auth") / "log", ACCESS_TOKEN_SECONDS="1").ready() as auth:
        answer = requests.post(auth.url + "/api/auth/login/", timeout=20,
                               json={"email": admin.email, "password": admin.password})
        assert answer.status_code == 200, answer.text
        return answer.json()["access"]


# ---- who is nobody: every route says 401 and does nothing


def cut(person: Person) -> str:
    """The person's token, once it counts no more: neither at the gateway nor at auth, which judges tokens sent to it."""
    for method, path in (("POST", "/api/v1/ws/ticket"), ("GET", "/api/auth/sessions/")):
        eventually(lambda: person.ask(method, path).status_code == 401, 5, "the token is refused")
    return person.token


def suspended(platform, admin) -> str:
    person = Person.registered(platform)
    admin.ask("PATCH", f"/api/users/users/{person.user['id']}/change_status/", {"status": "suspended"}).raise_for_status()
    return cut(person)


def blacklisted(platform, admin) -> str:
    person = Person.registered(platform)
    admin.post("/api/users/blacklist/", {"kind": "user", "value": person.user["id"]}, 201)
    return cut(person)


def logged_out(platform, admin) -> str:
    person = Person.registered(platform)
    person.ask("POST", "/api/auth/logout/").raise_for_status()
    return cut(person)


def revoked_key(platform, admin) -> str:
    person = Person.registered(platform)
    made = person.post("/api/auth/api-keys/", {"name": "gone", "scopes": ["*"]}, 201)
    person.ask("DELETE", f"/api/auth/api-keys/{made['id']}/").raise_for_status()
    return made["key"]


@pytest.mark.parametrize("who", [None, suspended, blacklisted, logged_out, revoked_key],
                         ids=lambda who: who.__name__ if who else "anonymous")
def test_nobody_gets_anywhere(platform, routes, schema, admin, carrier, who):
    refuse_everywhere(platform, routes, schema, furnished(platform, carrier), who(platform, admin) if who else None)


def refuse_everywhere(platform, routes, schema, owned, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    wrong = []
    for route in routes:
        body, _ = body_of(route, schema, owned, foreign=True)
        answer = requests.request(route.method, platform.url + route.target(owned), json=body, headers=headers,
                                  timeout=10, allow_redirects=False)
        if answer.status_code != 401:
            wrong.append(f"{route.name}: {answer.status_code} {answer.text[:160]}")
    assert wrong == []
    assert owned.person.get("/api/v1/calls")["calls"], "and nothing was done"


# ---- who is somebody, but may not


def member(platform, owned: Owned, role: str) -> Person:
    if role == "owner":
        return owned.person
    person = Person.registered(platform)
    owned.person.post(f"/api/workspaces/workspaces/{owned.person.workspace}/add_users/",
                      {"user_ids": [person.user["id"]], "role": role})
    return person.renew()


def key_of(person: Person, scope: str) -> Person:
    """The person, asking with a key that can do no more than the scope says."""
    made = person.post("/api/auth/api-keys/", {"name": unique("key"), "scopes": [scope]}, 201)
    return Person(person.platform, {"access": made["key"], "refresh": "", "user": person.user}, person.email)


def stranger(platform, owned, admin):
    return Person.registered(platform)


def stranger_agent(platform, owned, admin):
    return Person.registered(platform, role="agent")


def staff(platform, owned, admin):
    person = Person.registered(platform)
    admin.ask("PATCH", f"/api/users/users/{person.user['id']}/", {"is_staff": True}).raise_for_status()
    return person.renew()


def complains_of(answer: requests.Response, fields: dict) -> bool:
    """A 400 that says of a field that names something of the workspace that there is no such thing."""
    return answer.status_code == 400 and bool(bad_fields(answer) & set(fields))


def verdicts(routes, schema, owned, person, may) -> list[str]:
    """What went otherwise than `may` says: True, False, or None where the request names nothing of the workspace."""
    wrong = []
    for route in routes:
        if route.name in OWN:
            continue
        allowed = may(route)
        answer, names = ask(person, route, schema, owned)
        status = answer.status_code
        if status >= 500:
            wrong.append(f"{route.name}: {status} {answer.text[:160]}")
        elif allowed and status in (401, 403, 404, 405):
            wrong.append(f"{route.name} ({route.action}) refused: {status} {answer.text[:160]}")
        elif allowed is False and names and not (status in (403, 404) or complains_of(answer, owned.by_field)):
            wrong.append(f"{route.name} ({route.action}) let in: {status} {answer.text[:160]}")
        elif allowed is False and status < 400 and any(each in answer.text for each in owned.ids):
            wrong.append(f"{route.name} ({route.action}) tells: {answer.text[:160]}")
    return wrong


@pytest.mark.parametrize("who", [stranger, stranger_agent, staff], ids=lambda who: who.__name__)
def test_whoever_is_not_of_the_workspace(platform, routes, schema, admin, carrier, who):
    owned = furnished(platform, carrier)
    person = who(platform, owned, admin)

    def may(route):
        if route.action == "member":
            return None
        grant = GRANTS[route.action]
        if who is staff and grant.staff:
            # Staff change people, but take nobody's account away and hand out no rights.
            return True
        return False
    assert verdicts(routes, schema, owned, person, may) == []


@pytest.mark.parametrize("role", MEMBERS)
def test_a_member_may_what_the_role_may(platform, routes, schema, admin, carrier, role):
    owned = furnished(platform, carrier)
    person = member(platform, owned, role)

    def may(route):
        if route.action == "member":
            return None
        grant = GRANTS[route.action]
        if grant.least is None:
            return None if grant.oneself else False
        return grant.is_for(role)
    assert verdicts(routes, schema, owned, person, may) == []


def test_an_admin_may_everything(platform, routes, schema, admin, carrier):
    owned = furnished(platform, carrier)
    assert verdicts(routes, schema, owned, admin, lambda route: True) == []


@pytest.mark.parametrize("scope", ["calls:read", "knowledge:write"])
def test_a_key_may_no_more_than_its_scope(platform, routes, schema, admin, carrier, scope):
    owned = furnished(platform, carrier)
    narrow = key_of(owned.person, scope)
    wrong = []
    for route in routes:
        answer, _ = ask(narrow, route, schema, owned)
        needed = route.operation["x-switchboard-scope"]
        if needed == scope:
            if answer.status_code in (401, 403):
                wrong.append(f"{route.name} refused: {answer.status_code} {answer.text[:160]}")
        elif answer.status_code != 403:
            wrong.append(f"{route.name} ({needed}) let in: {answer.status_code} {answer.text[:160]}")
    assert wrong == []


def test_every_route_names_an_action_of_the_table(routes):
    assert GRANTS and {each.action for each in routes} - {"member"} <= set(GRANTS)


def test_a_token_that_has_expired_opens_nothing(platform, routes, schema, carrier, short_lived):
    def is_over():
        answer = requests.get(platform.url + "/api/users/users/me/", timeout=10,
                              headers={"Authorization": f"Bearer {short_lived}"})
        return answer.status_code == 401
    eventually(is_over, 45, "the token has expired")
    refuse_everywhere(platform, routes, schema, furnished(platform, carrier), short_lived)
