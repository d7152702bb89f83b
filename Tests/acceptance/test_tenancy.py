"""Every route of /api/schema/, asked by nobody, by somebody of another workspace, and by an admin.

The routes come from the description itself, so that a new one is asked too; a new kind of path parameter or public
route has to be named here before it passes.
"""

import re
from dataclasses import dataclass

import pytest
import requests

from outside.people import Person, unique, unique_number

METHODS = {"get", "post", "put", "patch", "delete"}

# Open to everybody, on purpose. What is not here needs a token.
PUBLIC = {
    "POST /api/auth/register/", "POST /api/auth/login/", "POST /api/auth/refresh/", "GET /.well-known/jwks.json",
    "GET /.well-known/security.txt", "GET /api/schema/", "GET /api/docs/", "GET /swagger/", "GET /api/redoc/",
    "GET /redoc/", "GET /live", "GET /", "GET /assets/docs/{file}", "GET /healthz", "GET /readyz",
}
# Refused with 403 unless the carrier signed.
SIGNED = {"POST /api/calls/twilio-webhook/", "POST /api/calls/twilio-connect/", "GET /ws/relay/{token}"}
# Wants its token in the handshake.
SOCKETS = {"GET /ws/calls"}
# About whoever asks, or the same for everybody.
ABOUT_THE_CALLER = {"POST /api/auth/logout/", "POST /api/v1/ws/ticket", "GET /api/users/users/me/"}
SHARED = {"GET /api/subscriptions/plans/{id}/", "GET /api/subscriptions/plans/"}


@dataclass
class Owned:
    """The first person's things, and how paths and bodies name them."""

    person: Person
    by_parameter: dict
    by_field: dict

    @property
    def ids(self) -> set[str]:
        # A plan is everybody's.
        mine = [value for name, value in self.by_parameter.items() if name != "plans/id"]
        values = {str(each) for each in [*mine, *self.by_field.values()] if not isinstance(each, list)}
        # Short numbers (an entry's id) occur in any text by chance.
        return {each for each in values if len(each) > 12}


@dataclass
class Route:
    method: str
    path: str
    operation: dict

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def target(self, owned: Owned) -> str:
        def value(match):
            name = match.group(1)
            key = f"{self.path.split('/')[3]}/{name}" if name == "id" else name
            assert key in owned.by_parameter, f"{self.name}: say in test_tenancy.py what {{{name}}} is"
            return str(owned.by_parameter[key])
        return re.sub(r"\{(\w+)\}", value, self.path)

    @property
    def names_a_thing(self) -> bool:
        return "{" in self.path


@pytest.fixture(scope="module")
def schema(platform):
    return requests.get(platform.url + "/api/schema/", timeout=20).json()


@pytest.fixture(scope="module")
def routes(schema):
    return [Route(method.upper(), path, operation) for path, item in schema["paths"].items()
            for method, operation in item.items() if method in METHODS]


@pytest.fixture(scope="module")
def owned(platform, carrier) -> Owned:
    person = Person.registered(platform)
    config = person.post("/api/v1/config/business", {"name": unique("shop"), "type": "retail"}, 201)["config"]["id"]
    agent = person.agent(business_id=config)["id"]
    number = person.number({"id": agent})
    human = person.human()["id"]
    entry = person.post("/api/v1/knowledge", {"title": "Hours", "content": "Open from nine to five."}, 201)["entry"]["id"]
    call = carrier.ring(number["phone_number"])
    call.ask_for_instructions()
    call_id = person.wait_for_call(call.sid)["id"]
    escalation = person.post(f"/api/v1/calls/{call_id}/escalate")["escalation"]["id"]
    plan = person.get("/api/subscriptions/plans/")["results"][0]["id"]
    return Owned(person, by_parameter={
        "call_id": call_id, "escalation_id": escalation, "agent_id": human, "entry_id": entry, "business_id": config,
        "version": 1,
        "agents/id": agent, "phone-numbers/id": number["id"], "plans/id": plan,
    }, by_field={
        "business_id": config, "template_id": agent, "agent": agent, "agent_id": human, "workspace": person.workspace,
        "workspace_id": person.workspace, "phone_number_ids": [number["id"]], "from_number": number["phone_number"],
    })


def body_of(route: Route, schema: dict, owned: Owned, foreign: bool) -> tuple[dict | None, bool]:
    """A plausible body, and whether it names something of the first person's (then every field that can, does)."""
    content = route.operation.get("requestBody", {}).get("content", {}).get("application/json")
    if not content:
        return None, False
    definition = resolved(content["schema"], schema)
    required, body, named = set(definition.get("required", [])), {}, False
    for name, kind in definition.get("properties", {}).items():
        if foreign and name in owned.by_field:
            body[name], named = owned.by_field[name], True
        elif name in required:
            body[name] = owned.by_field[name] if name in owned.by_field else sample(name, resolved(kind, schema), schema)
    return body, named


def resolved(kind: dict, schema: dict) -> dict:
    while "$ref" in kind:
        kind = schema["components"]["schemas"][kind["$ref"].rsplit("/", 1)[1]]
    return kind


def sample(name: str, kind: dict, schema: dict):
    if "enum" in kind:
        return kind["enum"][0]
    if "anyOf" in kind:
        return sample(name, resolved(kind["anyOf"][0], schema), schema)
    if "number" in name and kind.get("pattern"):
        return unique_number()
    of = kind.get("type")
    of = of[0] if isinstance(of, list) else of
    return {"string": f"{unique('x')}@example.com" if kind.get("format") == "email" else "Something to say",
            "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}[of or "object"]


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
            rows = [each for each in told.values() if isinstance(each, list)] if answer.status_code == 200 else []
            if answer.status_code not in (200, 400, 403, 404) or any(rows):
                wrong.append(f"{route.name}?{name}=: {answer.status_code} {answer.text[:200]}")
    assert wrong == []


def test_an_admin_is_let_in_everywhere(routes, schema, owned, admin):
    """What is deleted comes last, each thing after what hangs on it."""
    wrong = []
    order = {"GET": 0, "POST": 1, "PUT": 2, "PATCH": 3, "DELETE": 4}
    for route in sorted(routes, key=lambda route: (order[route.method], "business" in route.path)):
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
