"""Several replicas of telephony: one that is told to stop sends its live calls to another one."""

import json
import os
import signal
import socket
import threading
import time
import xml.etree.ElementTree as XML

import pytest
from websockets.exceptions import ConnectionClosed

from outside.calls import play_at
from outside.carrier import Carrier
from outside.dialogues import Played
from outside.platform import eventually
from outside.programs import Extra, free_ports

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


# ---- scaling out and in

# SCALE_CALLS=200 for the whole of it; fewer are enough to see that it works.
SCALE_CALLS = int(os.environ.get("SCALE_CALLS", "30"))
# Half as fast again as people: such a conversation lasts half a minute, so all of them run while replicas come and go.
SCALE_SPEED = 1.5
QUESTIONS = ["When are you open on Saturday?", "How long does a delivery take?", "What does the express parcel cost?",
             "Can I send it back after three weeks?", "Is there somebody in the evening?", "Where is your workshop?"]


@pytest.fixture
def site(platform, tmp_path):
    """A gateway that knows three addresses of telephony, with nobody at them yet, and a carrier that calls it."""
    at_gateway, at_carrier, *at_replicas = free_ports(5)
    shared = {"PUBLIC_URL": f"http://127.0.0.1:{at_gateway}", "TWILIO_API_URL": f"http://127.0.0.1:{at_carrier}"}

    class Site:
        carrier = shared["TWILIO_API_URL"]

        def replica(self, place: int) -> Extra:
            name = f"telephony-{place}-{time.monotonic_ns()}"
            return Extra(platform, "telephony", tmp_path / f"{name}.log", PORT=str(at_replicas[place]), **shared)

    urls = ",".join(f"http://127.0.0.1:{port}" for port in at_replicas)
    with Extra(platform, "gateway", tmp_path / "gateway.log", PORT=str(at_gateway), TELEPHONY_URLS=urls,
               **shared) as gateway, \
            Extra(platform, "carrier-simulator", tmp_path / "carrier.log", PORT=str(at_carrier), **shared):
        gateway.listens()
        yield Site()


def test_scaled_from_one_to_three_and_back_with_calls_running_none_is_lost(platform, owner, site, tmp_path):
    logs, script = platform.logs(), tmp_path / "script.jsonl"
    script.write_text("".join(json.dumps({"id": f"scale-{at}", "turns": [
        {"speaker": "customer", "text": text} for text in QUESTIONS[at:] + QUESTIONS[:at]]}) + "\n"
        for at in range(len(QUESTIONS))))
    number = owner.number()["phone_number"]
    with site.replica(0) as first:
        first.ready()
        reports: list[dict] = []
        half = SCALE_CALLS // 2
        body = {"to": number, "calls": half, "at_once": half, "speed": SCALE_SPEED, "conversations": str(script)}
        crowds = [threading.Thread(target=lambda: reports.extend(play_at(site.carrier, body))) for _ in range(2)]
        crowds[0].start()
        eventually(lambda: first.metric(LIVE) >= half * 0.9, 20, "the first half speaks, all at the only replica")

        # Three: the second half is spread over them.
        with site.replica(1) as second, site.replica(2) as third:
            second.ready(), third.ready()
            crowds[1].start()
            eventually(lambda: second.metric(LIVE) > 0 and third.metric(LIVE) > 0, 20, "new calls reach new replicas")

            # One again: each that leaves sends its calls to those that stay.
            moved = 0.0
            for leaving in (first, second):
                moved += leaving.metric(LIVE)
                leaving.process.send_signal(signal.SIGTERM)
                assert leaving.process.wait(30) == 0
                assert "transcript.lost" not in leaving.log.read_text()
            assert moved > 0, "nobody was speaking at those that left"
            for crowd in crowds:
                crowd.join(120)
            eventually(lambda: third.metric(LIVE) == 0, 10, "the conversations have ended")
        assert len(reports) == SCALE_CALLS
        assert [report["failure"] for report in reports if report["failure"]] == []
        assert sum(report["reconnects"] for report in reports) >= moved * 0.9, "those who spoke there moved"
        played = Played(owner, reports)
        played.wait_until_settled(60)
        assert played.differences() == []
    assert logs.errors() == []
    print(f"{SCALE_CALLS} calls, {moved:.0f} moved, load {os.getloadavg()[0]:.1f}")
