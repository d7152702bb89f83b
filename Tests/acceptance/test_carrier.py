"""The carrier's webhooks and its relay socket: signatures, doubled and disordered callbacks, calls for nobody."""

import pytest
from websockets.exceptions import InvalidStatus

from outside.people import unique_number
from outside.platform import eventually


def calls_of(person):
    return person.get("/api/v1/calls")["calls"]


@pytest.mark.parametrize("signature", [None, "", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="])
def test_a_webhook_without_the_right_signature_is_refused_and_nothing_happens(owner, carrier, signature):
    call = carrier.ring(owner.number()["phone_number"])
    assert call.ask_for_instructions(signature=signature).status_code == 403
    assert calls_of(owner) == []


def test_a_signature_over_another_form_is_refused(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"])
    other = carrier.signature(carrier.platform.url + "/api/calls/twilio-webhook/", call.form("ringing", From="+1415"))
    assert call.ask_for_instructions(signature=other).status_code == 403
    assert calls_of(owner) == []


def test_a_signature_for_another_address_is_refused(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"])
    other = carrier.signature(carrier.platform.url + "/api/calls/twilio-connect/", call.form("ringing"))
    assert call.ask_for_instructions(signature=other).status_code == 403


def test_a_webhook_is_answered_with_instructions_to_connect(owner, carrier):
    number = owner.number()["phone_number"]
    answer = carrier.ring(number).ask_for_instructions()
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/xml")
    assert "<ConversationRelay" in answer.text and "/ws/relay/" in answer.text


def test_asking_twice_for_the_same_call_makes_one_call(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"])
    assert call.ask_for_instructions().status_code == call.ask_for_instructions().status_code == 200
    assert [each["twilio_call_sid"] for each in calls_of(owner)] == [call.sid]


def test_a_number_nobody_has_is_told_so_and_makes_no_call(carrier):
    answer = carrier.ring(unique_number()).ask_for_instructions()
    assert answer.status_code == 200 and "<Say" in answer.text and "<Connect" not in answer.text


def test_doubled_and_disordered_callbacks_change_nothing(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"])
    call.ask_for_instructions()
    call.report("completed", 3, CallDuration="42")
    ended = owner.wait_for_call(call.sid, status="completed")
    assert ended["duration_seconds"] == 42
    for status, number, more in [("in-progress", 2, {}), ("ringing", 1, {}), ("completed", 3, {"CallDuration": "42"}),
                                 ("initiated", 0, {}), ("completed", 4, {"CallDuration": "99"}), ("failed", 5, {})]:
        assert call.report(status, number, **more).status_code == 200
    after = owner.call(ended["id"])
    for name in ("status", "duration_seconds", "ended_at", "started_at"):
        assert after[name] == ended[name], name

    def usage():
        return owner.get("/api/subscriptions/current/")["usage"]
    eventually(lambda: usage()["seconds"] == 42, 10, "usage counts the call once")
    assert usage()["calls"] == 1


def test_a_callback_for_an_unknown_call_is_taken_and_forgotten(owner, carrier):
    assert carrier.ring(unique_number()).report("completed", 3, CallDuration="5").status_code == 200
    assert calls_of(owner) == []


def test_the_relay_socket_wants_the_token_and_a_right_signature(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    genuine = call.url
    call.url = genuine[:-4] + ("AAAA" if not genuine.endswith("AAAA") else "BBBB")
    with pytest.raises(InvalidStatus) as refused:
        call.connect()
    assert refused.value.response.status_code in (403, 404)
    call.url = genuine
    call.carrier, before = type(carrier)(carrier.platform), call.carrier
    call.carrier.signature = lambda url, form=None: "AAAA"
    with pytest.raises(InvalidStatus) as refused:
        call.connect()
    assert refused.value.response.status_code == 403
    call.carrier = before
    call.hang_up()


def test_an_interrupted_answer_stands_in_the_transcript_as_far_as_it_was_heard(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    call.say("Hello there.")
    answer = call.say("Can you repeat that, please?")
    heard = answer[:10]
    call.send({"type": "interrupt", "utteranceUntilInterrupt": heard, "durationUntilInterruptMs": 700})
    call.say("Thank you.")
    record = owner.wait_for_call(call.sid)

    def cut():
        lines = owner.get(f"/api/v1/calls/{record['id']}/interactions")["interactions"]
        return [line for line in lines if line["speaker"] == "ai" and line["metadata"].get("interrupted")]
    assert eventually(cut, 10, "an utterance marked as interrupted")[0]["text"].strip() == heard.strip()
    call.hang_up()


def test_the_carriers_socket_may_break_and_come_back_without_repeating_a_line(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    call.say("Hello there.")
    call.break_off()
    call.connect()
    call.say("I am back again.")
    call.hang_up()
    record = owner.wait_for_call(call.sid, status="completed")
    lines = owner.get(f"/api/v1/calls/{record['id']}/interactions", speaker="customer")["interactions"]
    assert [line["text"] for line in lines] == ["Hello there.", "I am back again."]
