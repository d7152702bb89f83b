"""Document 003: its types as JSON Schema (`acceptance/manager/*.json`, transcribed from the document and not from what we
serve), every answer it lists, and a book of those that were seen."""

import json
import re
from datetime import datetime

import requests
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from .people import Person
from .platform import ROOT

TYPES = ROOT / "Tests" / "acceptance" / "manager"
ERROR = "common.json#/$defs/Error"
DONE = "common.json#/$defs/Done"
# An answer that is a file and not JSON.
FILE = None

# Endpoint → status → what the answer is. Every status the document lists but 500.
DOCUMENTED = {
    "GET /calls": {200: "calls.json#/$defs/CallList", 400: ERROR, 401: ERROR},
    "GET /calls/{call_id}": {200: "calls.json#/$defs/CallDetail", 404: ERROR, 401: ERROR},
    "GET /calls/{call_id}/interactions": {200: "calls.json#/$defs/Transcript", 404: ERROR, 401: ERROR},
    "POST /calls/initiate": {201: "calls.json#/$defs/Initiated", 400: ERROR, 401: ERROR},
    "POST /calls/{call_id}/escalate": {200: "calls.json#/$defs/Escalated", 400: ERROR, 404: ERROR, 401: ERROR},
    "POST /calls/{call_id}/intervene": {200: DONE, 400: ERROR, 404: ERROR, 401: ERROR},
    "POST /calls/{call_id}/end": {200: "calls.json#/$defs/Ended", 404: ERROR, 401: ERROR},
    "POST /calls/{call_id}/notes": {201: "calls.json#/$defs/Noted", 400: ERROR, 404: ERROR, 401: ERROR},
    "GET /analytics/overview": {200: "analytics.json#/$defs/Overview", 401: ERROR},
    "GET /analytics/call-volume": {200: "analytics.json#/$defs/CallVolume", 400: ERROR, 401: ERROR},
    "GET /analytics/qa": {200: "analytics.json#/$defs/Quality", 401: ERROR},
    "GET /analytics/sentiment": {200: "analytics.json#/$defs/SentimentReport", 401: ERROR},
    "GET /analytics/escalations": {200: "analytics.json#/$defs/EscalationReport", 401: ERROR},
    "POST /analytics/export": {200: FILE, 400: ERROR, 401: ERROR},
    "GET /config/business": {200: "config.json#/$defs/ConfigList", 401: ERROR},
    "GET /config/business/{business_id}": {200: "config.json#/$defs/ConfigDetail", 404: ERROR, 401: ERROR},
    "POST /config/business": {201: "config.json#/$defs/ConfigAnswer", 400: ERROR, 401: ERROR},
    "PUT /config/business/{business_id}": {200: "config.json#/$defs/ConfigAnswer", 400: ERROR, 401: ERROR},
    "DELETE /config/business/{business_id}": {200: DONE, 404: ERROR, 401: ERROR, 400: ERROR},
    "GET /knowledge": {200: "knowledge.json#/$defs/EntryList", 401: ERROR},
    "POST /knowledge": {201: "knowledge.json#/$defs/EntryAnswer", 400: ERROR, 401: ERROR},
    "POST /knowledge/upload": {202: "knowledge.json#/$defs/Uploaded", 400: ERROR, 401: ERROR},
    "DELETE /knowledge/{entry_id}": {200: DONE, 404: ERROR, 401: ERROR},
    "GET /agents": {200: "agents.json#/$defs/AgentList", 401: ERROR},
    "GET /agents/{agent_id}": {200: "agents.json#/$defs/AgentDetail", 404: ERROR, 401: ERROR},
    "POST /agents": {201: "agents.json#/$defs/AgentAnswer", 400: ERROR, 401: ERROR},
    "PUT /agents/{agent_id}": {200: "agents.json#/$defs/AgentAnswer", 400: ERROR, 401: ERROR},
    "DELETE /agents/{agent_id}": {200: DONE, 404: ERROR, 401: ERROR, 400: ERROR},
    "PATCH /agents/{agent_id}/availability": {200: "agents.json#/$defs/AgentAnswer", 404: ERROR, 401: ERROR},
}
FRAMES = {"call.started", "call.updated", "call.ended", "interaction.added", "qa.score.updated", "sentiment.changed",
          "escalation.triggered", "escalation.completed"}

# Where null has a meaning: the end of a list (ours, not the document's). Elsewhere what is not there is left out.
MAY_BE_NULL = {"next_cursor"}
# What somebody else put there is given back as it came.
FREE = {"metadata"}

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def is_instant(value) -> bool:
    """ISO 8601 as RFC 3339 has it, and a moment that exists."""
    if not isinstance(value, str):
        return True
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", value):
        return False
    datetime.fromisoformat(value)
    return True


def transcribed() -> dict[str, dict]:
    return {file.name: json.loads(file.read_text()) for file in sorted(TYPES.glob("*.json"))}


REGISTRY = Registry().with_resources((name, Resource.from_contents(each)) for name, each in transcribed().items())


def differences(value, reference: str) -> list[str]:
    """Where a value is not what the document says; nothing when it is."""
    validator = Draft202012Validator(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": reference}, registry=REGISTRY,
        format_checker=formats)
    found = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]
    return found + [f"{path} is null" for path in nulls(value, "$")]


def nulls(value, path: str) -> list[str]:
    if isinstance(value, dict):
        return [found for name, inner in value.items() if name not in FREE
                for found in ([f"{path}.{name}"] if inner is None and name not in MAY_BE_NULL
                              else nulls(inner, f"{path}.{name}"))]
    if isinstance(value, list):
        return [found for number, inner in enumerate(value) for found in nulls(inner, f"{path}[{number}]")]
    return []


class Manager:
    """A person whose every answer is held against the document."""

    def __init__(self, person: Person, seen: set[tuple[str, int]]):
        self.person, self.seen = person, seen

    def ask(self, endpoint: str, status: int, body=None, query=None, code: str | None = None, like: str | None = None,
            **how):
        """Asks and checks. What the path names, and more of `requests`' arguments, come by name.
        - code: the error expected.
        - like: what the answer is where the document does not list the status."""
        method, path = endpoint.split(" ", 1)
        path = re.sub(r"\{(\w+)\}", lambda match: str(how.pop(match.group(1))), path)
        answer = self.person.ask(method, f"/api/v1{path}", body, params=query, **how)
        return self.checked(answer, endpoint, status, code, like)

    def checked(self, answer: requests.Response, endpoint: str, status: int, code: str | None = None,
                like: str | None = None):
        what = f"{endpoint} → {answer.status_code} {answer.text[:500]}"
        assert answer.status_code == status, f"{what}, not {status}"
        listed = DOCUMENTED.get(endpoint, {})
        reference = listed.get(status, like or (ERROR if status >= 400 else None))
        if status in listed:
            self.seen.add((endpoint, status))
        if reference is None:
            return answer
        assert answer.headers["Content-Type"].split(";")[0] == "application/json", what
        value = answer.json()
        assert differences(value, reference) == [], what
        if status >= 400:
            assert value["error"]["code"] == code, what
        return value
