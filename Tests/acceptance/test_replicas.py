"""Several replicas of telephony: one that is told to stop sends its live calls to another one."""

import signal
import socket
import time
import xml.etree.ElementTree as XML

import pytest
from websockets.exceptions import ConnectionClosed

from outside.carrier import Carrier
from outside.platform import eventually
from outside.programs import Extra

GOING_AWAY = 1001
LIVE = "telephony_live_conversations"
CALLS = 4


@pytest.fixture
def pair(platform, tmp_path):
    """Two replicas, and a gateway in front of only them."""
    with Extra(platform, "telephony", tmp_path / "one.log") as one, \
            Extra(platform, "telephony", tmp_path / "two.log") as two:
        urls = ",".join(each.ready().url for each in (one, two))
        with Extra(platform, "gateway", tmp_path / "gateway.log", TELEPHONY_URLS=urls) as gateway:
            yield one, two, gateway.ready()


def hear_out(call) -> str | None:
    """What is answered; None when the line ends first, as a replica that goes away ends it."""
    try:
        return call.listen()
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code == GOING_AWAY, closed
        return None


def come_back(call) -> None:
    """As the carrier does when a relay's socket was lost: it asks the `<Connect>` action what now."""
    answer = call.carrier.webhook(
        call.form("in-progress", SessionId="VX" + call.sid[2:], SessionStatus="failed", ErrorCode="64105",
                  ErrorMessage="WebSocket ended"),
        path="/api/calls/twilio-connect/")
    relay = XML.fromstring(answer.text).find("./Connect/ConversationRelay")
    assert relay is not None, answer.text
    call.url = relay.get("url")
    call.connect()


def test_calls_of_a_replica_that_stops_go_on_at_another_and_no_word_is_lost(platform, owner, pair):
    one, two, gateway = pair
    number = owner.number()["phone_number"]
    calls = [Carrier(platform, at=gateway.url).ring(number).answer() for _ in range(CALLS)]
    for call in calls:
        call.say("Hello there.")
    assert one.metric(LIVE) + two.metric(LIVE) == CALLS
    leaving, staying = (one, two) if one.metric(LIVE) else (two, one)
    before = staying.metric(LIVE)

    # Everybody is just saying something when the replica is told to stop.
    for call in calls:
        call.send({"type": "prompt", "voicePrompt": "Where can I park?", "lang": "en-US", "last": True})
    began = time.monotonic()
    leaving.process.send_signal(signal.SIGTERM)
    moved = 0
    for call in calls:
        answer = hear_out(call)
        if answer is None:
            moved += 1
            come_back(call)
            # What was not answered is repeated.
            assert call.say("Where can I park?")
            assert time.monotonic() - began < 2, "the caller waited too long"
    for call in calls:
        try:
            assert call.say("Thank you.")
        except ConnectionClosed as closed:
            # Answered in time by the replica that left, and then sent away.
            assert closed.rcvd.code == GOING_AWAY
            moved += 1
            come_back(call)
            assert call.say("Thank you.")
    assert time.monotonic() - began < 5
    assert moved == CALLS - before and moved > 0
    assert staying.metric(LIVE) == CALLS
    assert leaving.process.wait(15) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", leaving.port))
    assert "transcript.lost" not in leaving.log.read_text()

    for call in calls:
        call.hang_up()
        record = owner.wait_for_call(call.sid, status="completed")
        lines = owner.get(f"/api/v1/calls/{record['id']}/interactions")["interactions"]
        said = [line["text"] for line in lines if line["speaker"] == "customer"]
        assert said == ["Hello there.", "Where can I park?", "Thank you."]
        assert lines[-1]["speaker"] == "ai" and lines[-2]["text"] == "Thank you."
    eventually(lambda: staying.metric(LIVE) == 0, 10, "the conversations have ended")
