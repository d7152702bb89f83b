"""`/asyncapi.json`: read by models of AsyncAPI 3 that somebody else wrote, and held against what is really sent."""

import json

import pytest
import requests
from jsonschema import Draft202012Validator
from pydantic_asyncapi import AsyncAPIV3

from outside.platform import ROOT

SAMPLES = sorted((ROOT / "Tests" / "SharedTests" / "samples").glob("*.json"))


@pytest.fixture(scope="module")
def document(platform):
    answer = requests.get(platform.url + "/asyncapi.json", timeout=20)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
    return answer.json()


def validator(document, message: str) -> Draft202012Validator:
    """Of a message's payload; its references lead into the document's components."""
    payload = document["components"]["messages"][message]["payload"]
    return Draft202012Validator(payload | {"components": document["components"]})


def test_others_can_read_it(document):
    # These models know no bindings of Kafka messages, which the standard's Kafka bindings (0.5.0) have: `key`.
    messages = {name: {part: value for part, value in message.items() if part != "bindings"}
                for name, message in document["components"]["messages"].items()}
    read = AsyncAPIV3.model_validate(document | {"components": document["components"] | {"messages": messages}})
    assert read.asyncapi == "3.0.0" and set(read.channels) == set(document["channels"])


def test_every_payload_is_a_valid_schema(document):
    for message in document["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda file: file.stem)
def test_a_recorded_event_is_what_the_document_says(document, sample):
    validator(document, sample.stem).validate(json.loads(sample.read_text()))


def test_what_a_browser_receives_is_what_the_document_says(document, owner, carrier, streams):
    stream = streams(owner)
    call = carrier.ring(owner.number()["phone_number"]).answer()
    call.say("Hello there.")
    call.hang_up()
    stream.wait_for("qa.score.updated")
    stream.request("ping", {"n": 1})
    stream.request("resume", {"after": "0"})
    stream.request("nonsense")
    seen = {frame["event"] for frame in stream.frames}
    assert {"call.started", "interaction.added", "sentiment.changed", "qa.score.updated", "pong", "error",
            "subscribed"} <= seen
    for frame in stream.frames:
        validator(document, f"ws.calls.{frame['event']}").validate(frame)


def test_it_is_linked_from_the_front_page(platform):
    assert "/asyncapi.json" in requests.get(platform.url + "/", timeout=20).text
