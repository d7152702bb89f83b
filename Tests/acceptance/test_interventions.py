"""Managers act on a call that some replica holds: whichever they ask, whatever happens to the one that holds it."""

import pytest

from outside.carrier import Carrier
from outside.people import error_code
from outside.platform import eventually
from outside.programs import Extra

LIVE = "telephony_live_conversations"
HUSH = "…"


@pytest.fixture
def replica(platform, tmp_path):
    """A replica of its own behind a gateway of its own; the platform's is another one on the same database."""
    with Extra(platform, "telephony", tmp_path / "telephony.log") as telephony:
        with Extra(platform, "gateway", tmp_path / "gateway.log", TELEPHONY_URLS=telephony.ready().url) as gateway:
            yield telephony, Carrier(platform, at=gateway.ready().url)


def held(owner, replica):
    """A call that the extra replica holds, and nobody else."""
    telephony, carrier = replica
    call = carrier.ring(owner.number()["phone_number"]).answer()
    assert telephony.metric(LIVE) == 1
    return telephony, call, f"/api/v1/calls/{owner.wait_for_call(call.sid, status='in_progress')['id']}"


def test_an_order_given_to_one_replica_reaches_the_call_that_another_one_holds(owner, replica):
    _, call, path = held(owner, replica)
    done = owner.ask("POST", f"{path}/intervene", {"action": "send_message", "message": "Offer a purple umbrella."})
    assert done.status_code == 200, done.text
    assert "purple umbrella" in call.listen(), "it was heard before anything else was said"
    # It has been taken once it is answered: what follows is said, or not said, by it.
    assert owner.ask("POST", f"{path}/intervene", {"action": "pause"}).status_code == 200
    assert call.next()["token"] == HUSH, "the carrier is told to stop what it is still speaking"
    with pytest.raises(TimeoutError):
        call.say("Are you there?", seconds=1)
    assert owner.ask("POST", f"{path}/intervene", {"action": "resume"}).status_code == 200
    assert call.listen(), "the words that waited are answered"
    assert owner.ask("POST", f"{path}/end", {}).status_code == 200
    assert call.next()["type"] == "end"


def test_a_message_for_a_call_whose_replica_has_died_is_refused_or_heard_but_never_lost(owner, replica, platform):
    telephony, call, path = held(owner, replica)
    telephony.process.kill()
    telephony.process.wait()
    body = {"action": "send_message", "message": "Offer a purple umbrella."}
    refused = owner.ask("POST", f"{path}/intervene", body)
    assert refused.status_code == 409 and error_code(refused) == "CONFLICT", refused.text
    paused = owner.ask("POST", f"{path}/intervene", {"action": "pause"})
    assert paused.status_code == 200 and "as soon as it is back" in paused.json()["message"]
    # It comes back, to another replica: silent as ordered, and what was refused is not said.
    call.break_off()
    call.carrier = Carrier(platform)
    call.connect()
    with pytest.raises(TimeoutError):
        call.say("Are you there?", seconds=1)
    assert owner.ask("POST", f"{path}/intervene", {"action": "resume"}).status_code == 200
    assert "umbrella" not in call.listen()
    call.hang_up()


def test_who_orders_just_after_the_end_is_told_so(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    record = owner.wait_for_call(call.sid, status="in_progress")
    call.hang_up()
    owner.wait_for_call(call.sid, status="completed")
    for body in ({"action": "pause"}, {"action": "resume"}, {"action": "send_message", "message": "Hello?"},
                 {"action": "override_instructions", "instructions": "Be kind."}):
        answer = owner.ask("POST", f"/api/v1/calls/{record['id']}/intervene", body)
        assert answer.status_code == 400 and error_code(answer) == "CALL_ENDED", answer.text


def test_who_waits_for_a_human_waits_through_the_death_of_the_program(owner, replica, platform):
    telephony, call, path = held(owner, replica)
    assert "colleagues" in call.say("I want to talk to a human.")
    waiting = owner.get("/api/v1/escalations")["escalations"]
    assert [each["status"] for each in waiting] == ["pending"] and "assigned_agent_id" not in waiting[0]
    telephony.process.kill()
    telephony.process.wait()
    call.break_off()
    call.carrier = Carrier(platform)
    call.connect()
    human = owner.human()
    eventually(lambda: owner.get("/api/v1/escalations")["escalations"][0].get("assigned_agent_id") == human["id"], 10,
               "whoever becomes free is sent")
    while (message := call.next(seconds=30))["type"] != "end":
        assert message["type"] == "text"
    assert "live-agent-handoff" in message["handoffData"]
    answer = call.carrier.webhook(
        call.form("in-progress", SessionId="VX" + call.sid[2:], SessionStatus="ended",
                  HandoffData=message["handoffData"]), path="/api/calls/twilio-connect/")
    assert "<Conference" in answer.text
    call.hang_up()


def test_a_call_taken_over_and_handed_back_is_the_ais_again(owner, slow_call):
    human = owner.human(is_available=False)
    call = slow_call(owner, owner.number()["phone_number"])
    path = f"/api/v1/calls/{call.id}"
    assert owner.ask("POST", f"{path}/takeover", {}).status_code == 400, "she is no human agent herself"
    taken = owner.post(f"{path}/takeover", {"agent_id": human["id"]})
    assert taken["escalation"]["trigger_type"] == "takeover"
    eventually(lambda: owner.call(call.id)["status"] == "escalated", 20, "the human has the call")
    spoken = len(call.transcript())
    back = owner.post(f"{path}/handback")
    assert back["call"]["status"] == "in_progress"
    eventually(lambda: len(call.transcript()) > spoken, 30, "the AI speaks with the customer again")
    closed = owner.get("/api/v1/escalations", call_id=call.id)["escalations"][0]["status"]
    assert closed in ("completed", "cancelled")
    human = owner.get(f"/api/v1/agents/{human['id']}")["agent"]
    assert human["is_available"] is False, "the switch is theirs"
