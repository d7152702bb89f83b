"""People who use the API through the gateway."""

import base64
import itertools
import json
import time

import requests

from .platform import Platform, eventually

PASSWORD = "a quite long pass phrase 71"
counter = itertools.count(time.time_ns() // 1000)


def unique(prefix: str) -> str:
    return f"{prefix}-{next(counter)}"


def unique_number() -> str:
    """A number nobody else has: the carrier's world is one for all workspaces."""
    return f"+1415{next(counter) % 10_000_000:07d}"


class Person:
    def __init__(self, platform: Platform, session: dict, email: str = "", password: str = PASSWORD):
        self.platform, self.email, self.password = platform, email, password
        self.connection = requests.Session()
        self.take(session)

    def take(self, session: dict) -> None:
        """Goes on with these tokens."""
        self.token, self.refresh_token = session["access"], session["refresh"]
        self.user = session["user"]

    @classmethod
    def registered(cls, platform: Platform, **more) -> "Person":
        email = more.pop("email", f"{unique('someone')}@example.com")
        body = {"email": email, "password": PASSWORD, "first_name": "Sam", "last_name": "Example"} | more
        answer = requests.post(platform.url + "/api/auth/register/", json=body, timeout=20)
        assert answer.status_code == 201, answer.text
        return cls(platform, answer.json(), email)

    @classmethod
    def logged_in(cls, platform: Platform, email: str, password: str) -> "Person":
        answer = requests.post(
            platform.url + "/api/auth/login/", json={"email": email, "password": password}, timeout=20)
        assert answer.status_code == 200, answer.text
        return cls(platform, answer.json(), email, password)

    def renew(self, cut: bool = True) -> "Person":
        """Goes on with tokens that say what is true now, as any client does whose access token is refused: waits until it
        is, unless nothing cut it."""
        if cut:
            eventually(lambda: self.ask("GET", "/api/users/users/me/").status_code == 401, 5, "the old token is refused")

        def works():
            answer = requests.post(self.platform.url + "/api/auth/refresh/", json={"refresh": self.refresh_token}, timeout=20)
            self.take(checked(answer, 200))
            return self.ask("GET", "/api/users/users/me/").status_code == 200
        eventually(works, 5, "a refreshed token works")
        return self

    @property
    def claims(self) -> dict:
        payload = self.token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    @property
    def workspace(self) -> str:
        return next(iter(self.claims["ws"]))

    # ---- requests

    def ask(self, method: str, path: str, body=None, **how) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | how.pop("headers", {})
        return self.connection.request(
            method, self.platform.url + path, json=body, headers=headers, timeout=20, allow_redirects=False, **how)

    def get(self, path: str, **query):
        return checked(self.ask("GET", path, params=query), 200)

    def post(self, path: str, body=None, status: int = 200, **how):
        return checked(self.ask("POST", path, body, **how), status)

    # ---- things to have

    def agent(self, **more) -> dict:
        """An AI agent that works around the clock."""
        body = {"name": unique("Ava"), "greeting": "Hello, this is Ava. How can I help you?", "language": "en-US",
                "voice": "en-US-Journey-O", "character": "friendly", "call_from": "00:00:00", "call_to": "23:59:59",
                "workdays": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]}
        return self.post("/api/agents/agents/", body | more, 201)

    def number(self, agent: dict | None = None) -> dict:
        """A phone number, answered by the agent (a new one unless given)."""
        agent = agent or self.agent()
        return self.post("/api/agents/phone-numbers/", {"phone_number": unique_number(), "agent": agent["id"]}, 201)

    def human(self, **more) -> dict:
        body = {"name": "Hana", "email": f"{unique('hana')}@example.com", "phone_number": unique_number()[:-4] + "9999",
                "is_available": True, "is_active": True}
        return self.post("/api/v1/agents", body | more, 201)["agent"]

    def call_with_sid(self, sid: str) -> dict | None:
        found = self.get("/api/v1/calls", search=sid)["calls"]
        return found[0] if found else None

    def call(self, call_id: str) -> dict:
        return self.get(f"/api/v1/calls/{call_id}")["call"]

    def wait_for_call(self, sid: str, **wanted) -> dict:
        def there():
            call = self.call_with_sid(sid)
            return call if call and all(call.get(name) == value for name, value in wanted.items()) else None
        return eventually(there, 15, f"a call {sid} with {wanted}")


def checked(answer: requests.Response, status: int):
    request = answer.request
    assert answer.status_code == status, f"{request.method} {request.path_url}: {answer.status_code} {answer.text[:800]}"
    return answer.json() if answer.content else None


def bad_fields(answer: requests.Response) -> set[str]:
    """The names a 400 complains of, in either family's format."""
    assert answer.status_code == 400, f"{answer.status_code} {answer.text[:500]}"
    body = answer.json()
    if "errors" in body:
        return set(body["errors"])
    return set(body["error"]["details"]["fields"])


def error_code(answer: requests.Response) -> str:
    body = answer.json()
    return body["error"]["code"] if isinstance(body.get("error"), dict) else body["code"]
