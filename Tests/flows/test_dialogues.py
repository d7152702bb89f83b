"""Many calls at once through every program: nothing is lost, doubled or out of order, and nothing is logged as an error."""

import pytest

from outside.calls import play
from outside.dialogues import OWN, Played, shared_conversations
from outside.people import Person

# How much faster than people everybody speaks: two cores shall keep up with a debug build of eight programs.
SPEED = 3
EVENTS = {"call.started", "call.updated", "call.ended", "interaction.added", "sentiment.changed", "qa.score.updated"}


def test_every_word_of_the_projects_own_conversations_arrives_everywhere(platform, owner, streams):
    logs, stream = platform.logs(), streams(owner)
    number = owner.number()["phone_number"]
    count = sum(1 for line in OWN.read_text().splitlines() if line.strip())
    reports = play(platform, {"to": number, "calls": count, "at_once": 6, "speed": 0, "conversations": str(OWN)})
    assert [report["failure"] for report in reports] == [None] * count

    played = Played(owner, reports)
    played.wait_until_settled()
    assert played.differences() == []
    assert logs.errors() == []

    scored = set()
    while len(scored) < count:
        scored.add(stream.wait_for("qa.score.updated")["data"]["call_id"])
    assert EVENTS <= {frame["event"] for frame in stream.frames}
    spoken = [frame for frame in stream.frames if frame["event"] == "interaction.added"]
    in_books = sum(len(owner.get(f"/api/v1/calls/{call['id']}/interactions")["interactions"])
                   for call in played.calls.values())
    assert len(spoken) == in_books, "each line of each transcript was shown live, once"
    assert stream.ids() == sorted(set(stream.ids()))


def test_late_doubled_and_shuffled_callbacks_and_interruptions_spoil_nothing(platform, owner):
    logs = platform.logs()
    reports = play(platform, {"to": owner.number()["phone_number"], "calls": 24, "at_once": 8, "speed": 0,
                              "conversations": str(OWN), "faults": ["late", "doubled", "shuffled", "interrupts"]})
    played = Played(owner, reports)
    played.wait_until_settled()
    assert played.differences() == []
    assert owner.get("/api/subscriptions/current/")["usage"]["calls"] == 24
    assert logs.errors() == []


def test_three_hundred_dialogues_at_fifty_at_once(platform):
    conversations = shared_conversations()
    if conversations is None:
        pytest.skip("no shared conversations beside the checkout (SWITCHBOARD_DATA)")
    owner, logs = Person.registered(platform), platform.logs()
    reports = play(platform, {"to": owner.number()["phone_number"], "calls": 300, "at_once": 50, "speed": SPEED,
                              "conversations": str(conversations)})
    assert len(reports) == 300
    played = Played(owner, reports)
    played.wait_until_settled(60)
    assert played.differences() == []
    assert played.used() == sum(report["duration_seconds"] for report in reports)
    assert logs.errors() == []
    overview = owner.get("/api/v1/analytics/overview")
    assert overview["total_calls"] == overview["completed_calls"] == 300 and overview["active_calls"] == 0
