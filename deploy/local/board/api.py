"""A small client of the public API, as anybody outside would write it: the standard library and JSON."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request


class APIError(Exception):
    def __init__(self, method: str, path: str, status: int, body: dict):
        self.status, self.body = status, body
        super().__init__(f"{method} {path} answered {status}: {json.dumps(body)[:600]}")


class API:
    def __init__(self, url: str, token: str | None = None):
        self.url, self.token = url, token

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        """The answer's JSON. 429 is waited for as the server asks; any other refusal is raised."""
        for _ in range(5):
            request = urllib.request.Request(self.url + path, method=method)
            request.add_header("Accept", "application/json")
            if self.token:
                request.add_header("Authorization", f"Bearer {self.token}")
            if body is not None:
                request.data = json.dumps(body).encode()
                request.add_header("Content-Type", "application/json")
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return parsed(answer.read())
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    raise APIError(method, path, error.code, parsed(error.read())) from None
                time.sleep(min(60, int(error.headers.get("Retry-After") or 1)))
        raise APIError(method, path, 429, {})

    def get(self, path: str, **query: str) -> dict:
        return self.call("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))

    def post(self, path: str, body: dict) -> dict:
        return self.call("POST", path, body)

    def signed_in(self, person: dict) -> "API":
        login = self.post("/api/auth/login/", {"email": person["email"], "password": person["password"]})
        return API(self.url, login["access"])


def parsed(body: bytes) -> dict:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {"text": body.decode(errors="replace")}
