"""The routes of /api/schema/, and somebody with one of each thing they can name."""

import re
from dataclasses import dataclass

from .people import Person, checked, unique, unique_number

METHODS = {"get", "post", "put", "patch", "delete"}

# Open to everybody, on purpose. What is not here needs a token.
PUBLIC = {
    "POST /api/auth/register/", "POST /api/auth/login/", "POST /api/auth/refresh/", "GET /.well-known/jwks.json",
    "POST /api/auth/password/reset/", "POST /api/auth/password/reset/confirm/", "GET /api/auth/password/reset/confirm/",
    "POST /api/auth/verify-email/", "POST /api/auth/verify-email/resend/", "GET /api/auth/verify-email/",
    "GET /.well-known/security.txt", "GET /api/schema/", "GET /asyncapi.json", "GET /api/docs/", "GET /swagger/",
    "GET /api/redoc/", "GET /redoc/", "GET /live", "GET /", "GET /assets/docs/{file}", "GET /healthz", "GET /readyz",
    "GET /media/avatars/{file}",
}
# Refused with 403 unless the carrier signed.
SIGNED = {"POST /api/calls/twilio-webhook/", "POST /api/calls/twilio-connect/", "GET /ws/relay/{token}"}
# Wants its token in the handshake.
SOCKETS = {"GET /ws/calls"}
# About whoever asks, or the same for everybody.
ABOUT_THE_CALLER = {
    "POST /api/auth/logout/", "POST /api/v1/ws/ticket", "GET /api/users/users/me/", "PATCH /api/users/users/me/",
    "GET /api/auth/sessions/", "DELETE /api/auth/sessions/", "DELETE /api/auth/sessions/{session_id}/",
    "GET /api/auth/api-keys/", "POST /api/auth/api-keys/", "GET /api/auth/api-keys/{key_id}/",
    "DELETE /api/auth/api-keys/{key_id}/", "GET /api/auth/totp/", "POST /api/auth/totp/", "DELETE /api/auth/totp/",
    "POST /api/auth/totp/confirm/", "POST /api/auth/totp/recovery-codes/", "POST /api/dashboard/user/change-password/",
    "POST /api/workspaces/invitations/accept/",
    # A report is shown to whoever asked for it.
    "GET /api/v1/analytics/export/{job_id}", "GET /api/v1/analytics/export/{job_id}/file",
}
# What they name only narrows down what is shown: another's things leave nothing of it.
FILTERS = {"POST /api/v1/analytics/export"}
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
    def action(self) -> str:
        """What docs/permissions.md calls it; `member` for what is open to everybody who has an account."""
        return self.operation["x-switchboard-access"]

    @property
    def names_a_thing(self) -> bool:
        return "{" in self.path


def routes_of(schema: dict) -> list[Route]:
    return [Route(method.upper(), path, operation) for path, item in schema["paths"].items()
            for method, operation in item.items() if method in METHODS]


def furnished(platform, carrier) -> Owned:
    """Somebody with a workspace and one of each thing in it."""
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
    blocked = person.post("/api/users/blacklist/", {"kind": "phone", "value": unique_number()}, 201)["id"]
    invitation = person.post("/api/workspaces/invitations/", {"email": f"{unique('x')}@example.com"}, 201)["id"]
    member = Person.registered(platform).user["id"]
    person.post(f"/api/workspaces/workspaces/{person.workspace}/add_users/", {"user_ids": [member]})
    session = person.get("/api/auth/sessions/")["results"][0]["id"]
    job = checked(person.ask("POST", "/api/v1/analytics/export", {"format": "csv", "report_type": "overview"},
                             headers={"Prefer": "respond-async"}), 202)["status_url"].rsplit("/", 1)[1]
    key = person.post("/api/auth/api-keys/", {"name": "a key", "scopes": ["read"]}, 201)["id"]
    return Owned(person, by_parameter={
        "call_id": call_id, "escalation_id": escalation, "agent_id": human, "entry_id": entry, "business_id": config,
        "agents/id": agent, "phone-numbers/id": number["id"], "plans/id": plan, "session_id": session, "key_id": key,
        # Whom an admin deletes below; not the owner of everything else.
        "users/id": Person.registered(platform).user["id"], "blacklist/id": blocked,
        "workspaces/id": person.workspace, "invitations/id": invitation, "user_id": member, "version": 1, "job_id": job,
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
    if route.name == "PATCH /api/v1/calls/{call_id}/qa":
        # Something at least has to be corrected.
        body |= {"review_notes": "Listened to."}
    if "blacklist" in route.path:
        # What a workspace may block of its own accord: numbers.
        body |= {"kind": "phone", "value": unique_number()}
    return body, named


def resolved(kind: dict, schema: dict) -> dict:
    while "$ref" in kind:
        kind = schema["components"]["schemas"][kind["$ref"].rsplit("/", 1)[1]]
    return kind


def sample(name: str, kind: dict, schema: dict):
    if "enum" in kind:
        # Of roles the one that everybody who may give one may give.
        return "viewer" if "viewer" in kind["enum"] else kind["enum"][0]
    if "anyOf" in kind:
        return sample(name, resolved(kind["anyOf"][0], schema), schema)
    if "number" in name and kind.get("pattern"):
        return unique_number()
    of = kind.get("type")
    of = of[0] if isinstance(of, list) else of
    return {"string": f"{unique('x')}@example.com" if kind.get("format") == "email" else "Something to say",
            "integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}[of or "object"]
