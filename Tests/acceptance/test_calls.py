"""Document 003 §1: the manager's calls."""

import pytest

from outside.calls import at_carrier
from outside.people import bad_fields, checked, error_code, unique, unique_number
from outside.platform import eventually

ALL = "/api/v1/calls"


@pytest.fixture
def five_calls(owner, carrier):
    """Five finished calls, oldest first: their ids, and who they belong to."""
    number = owner.number()["phone_number"]
    ids = []
    for seconds in (10, 20, 30, 40, 50):
        call = carrier.ring(number)
        call.ask_for_instructions()
        call.report("completed", 3, CallDuration=str(seconds))
        ids.append(owner.wait_for_call(call.sid, status="completed")["id"])
    return owner, ids


def dialled(owner, number=None, **more):
    return owner.post(f"{ALL}/initiate", {"to_number": number or unique_number()[:-4] + "7777"} | more, 201)["call"]


# ---- the list


def test_the_list_is_newest_first_and_pages_by_number_and_by_cursor(five_calls):
    owner, ids = five_calls
    newest_first = ids[::-1]
    listed = owner.get(ALL)
    assert [call["id"] for call in listed["calls"]] == newest_first
    assert listed["pagination"]["total"] == 5 and not listed["pagination"]["has_next"]

    second = owner.get(ALL, page=2, limit=2)
    assert [call["id"] for call in second["calls"]] == newest_first[2:4]
    pages = second["pagination"]
    assert (pages["page"], pages["limit"], pages["total"], pages["total_pages"]) == (2, 2, 5, 3)
    assert pages["has_next"] and pages["has_prev"]

    seen, cursor = [], None
    while True:
        page = owner.get(ALL, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [call["id"] for call in page["calls"]]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            break
    assert seen == newest_first


def test_filters_choose(five_calls):
    owner, ids = five_calls

    def found(**query):
        return [call["id"] for call in owner.get(ALL, **query)["calls"]]
    assert found(status="completed") == ids[::-1] and found(status="failed") == []
    assert found(direction="inbound") == ids[::-1] and found(direction="outbound") == []
    assert found(search=ids[2]) == [ids[2]]
    first = owner.call(ids[0])
    assert found(search=first["twilio_call_sid"]) == [ids[0]]
    assert set(found(search=first["from_number"][-6:])) == set(ids)
    assert found(sort_by="duration", sort_order="asc") == ids
    assert found(from_date=first["started_at"][:10], to_date=first["started_at"][:10]) != []
    assert found(from_date="2099-01-01") == [] and found(to_date="2001-01-01") == []


@pytest.mark.parametrize("query", [
    {"colour": "green"}, {"page": "0"}, {"limit": "101"}, {"limit": "many"}, {"status": "sleeping"},
    {"direction": "sideways"}, {"from_date": "yesterday"}, {"sort_by": "mood"}, {"min_qa_score": "2"},
    {"sentiment": "blue"}, {"cursor": "x"}, {"business_id": "7"},
])
def test_a_bad_query_parameter_is_refused_by_name(owner, query):
    answer = owner.ask("GET", ALL, params=query)
    assert bad_fields(answer) == set(query)
    assert error_code(answer) == "VALIDATION_ERROR"


# ---- one call


def test_a_call_shows_its_detail_and_its_transcript_in_parts(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    call.say("I would like to hear about your prices.")
    call.say("Thank you, that was helpful.")
    call.hang_up(seconds=25)
    record = owner.wait_for_call(call.sid, status="completed")
    path = f"{ALL}/{record['id']}"

    scored = eventually(lambda: owner.get(path) if "qa_scores" in owner.get(path) else None, 10, "the score is there")
    assert scored["call"]["duration_seconds"] == 25 and scored["call"]["from_number"] == call.caller
    assert 0 <= scored["qa_scores"]["overall_score"] <= 1
    whole = owner.get(f"{path}/interactions")
    assert whole["total"] == scored["interactions_count"] == len(whole["interactions"])
    speakers = [line["speaker"] for line in whole["interactions"]]
    assert speakers[0] == "ai" and speakers.count("customer") == 2
    ids = [line["id"] for line in whole["interactions"]]
    assert ids == sorted(set(ids))
    customer = owner.get(f"{path}/interactions", speaker="customer")["interactions"]
    assert [line["text"] for line in customer] == [
        "I would like to hear about your prices.", "Thank you, that was helpful."]
    assert customer[1]["sentiment"]["label"] == "positive"
    part = owner.get(f"{path}/interactions", limit=2, offset=1)
    assert [line["id"] for line in part["interactions"]] == ids[1:3] and part["total"] == len(ids)


@pytest.mark.parametrize("bad_id", ["7", "not-an-id", "00000000-0000-7000-8000-000000000000", "%00", "a" * 300])
@pytest.mark.parametrize("method, tail", [
    ("GET", ""), ("GET", "/interactions"), ("GET", "/notes"), ("POST", "/end"), ("POST", "/escalate"),
    ("POST", "/intervene"), ("POST", "/notes")])
def test_a_call_that_is_none_is_not_found(owner, method, tail, bad_id):
    answer = owner.ask(method, f"{ALL}/{bad_id}{tail}", {"action": "pause", "note": "x"} if method == "POST" else None)
    if bad_id == "%00":
        assert answer.status_code in (400, 404)
    else:
        assert answer.status_code == 404 and error_code(answer) == "CALL_NOT_FOUND", answer.text


# ---- calling out


def test_a_call_placed_here_rings_talks_and_ends(owner, platform):
    owner.agent()
    number = owner.number()
    call = dialled(owner, from_number=number["phone_number"], metadata={"campaign": "spring"})
    assert call["direction"] == "outbound" and call["status"] == "initiated"
    ended = eventually(lambda: owner.call(call["id"]) if owner.call(call["id"])["status"] == "completed" else None,
                       30, "the call is completed")
    assert ended["metadata"]["campaign"] == "spring" and ended["from_number"] == number["phone_number"]
    assert at_carrier(platform, ended["twilio_call_sid"])["status"] == "completed"
    lines = owner.get(f"{ALL}/{call['id']}/interactions")["interactions"]
    assert {line["speaker"] for line in lines} == {"ai", "customer"}


@pytest.mark.parametrize("last_digits, reason", [("0001", "busy"), ("0002", "no-answer"), ("0004", "failed")])
def test_a_call_nobody_takes_fails_with_the_carriers_reason(owner, last_digits, reason):
    owner.number()
    call = dialled(owner, unique_number()[:-4] + last_digits)
    failed = eventually(lambda: owner.call(call["id"]) if owner.call(call["id"])["status"] == "failed" else None,
                        20, "the call has failed")
    assert failed["failure_reason"] == reason and failed["duration_seconds"] == 0


@pytest.mark.parametrize("body, field", [
    ({}, "to_number"), ({"to_number": "911"}, "to_number"), ({"to_number": "+19005550100"}, "to_number"),
    ({"to_number": "+14155550100", "from_number": "me"}, "from_number"),
    ({"to_number": "+14155550100", "business_id": "x"}, "business_id"),
    ({"to_number": "+14155550100", "metadata": "x"}, "metadata"),
    ({"to_number": "+14155550100", "template_id": "00000000-0000-7000-8000-000000000000"}, "template_id"),
])
def test_a_bad_order_to_call_names_the_field(owner, body, field):
    owner.number()
    assert field in bad_fields(owner.ask("POST", f"{ALL}/initiate", body))


def test_an_idempotency_key_places_one_call_and_replays_the_answer(owner):
    owner.number()
    key, body = {"Idempotency-Key": unique("key")}, {"to_number": unique_number()[:-4] + "0001"}
    first = owner.ask("POST", f"{ALL}/initiate", body, headers=key)
    again = owner.ask("POST", f"{ALL}/initiate", body, headers=key)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert owner.get(ALL)["pagination"]["total"] == 1
    other = owner.ask("POST", f"{ALL}/initiate", body | {"metadata": {"a": 1}}, headers=key)
    assert other.status_code == 422


def test_another_persons_idempotency_key_is_another_key(owner, stranger):
    owner.number(), stranger.number()
    key, body = {"Idempotency-Key": unique("key")}, {"to_number": unique_number()[:-4] + "0001"}
    mine = checked(owner.ask("POST", f"{ALL}/initiate", body, headers=key), 201)
    theirs = checked(stranger.ask("POST", f"{ALL}/initiate", body, headers=key), 201)
    assert mine["call"]["id"] != theirs["call"]["id"]


# ---- a running call


def test_with_nobody_free_an_escalation_is_refused_and_nothing_is_created(owner, slow_call):
    call = slow_call(owner, owner.number()["phone_number"])
    answer = owner.ask("POST", f"{ALL}/{call.id}/escalate", {"reason": "angry"})
    assert answer.status_code == 400 and error_code(answer) == "NO_AGENT_AVAILABLE"
    assert owner.get("/api/v1/escalations")["escalations"] == []
    assert "escalation_status" not in owner.call(call.id)


def test_an_escalation_reaches_a_free_human_and_is_over_with_the_call(owner, slow_call, streams):
    stream = streams(owner)
    human = owner.human()
    call = slow_call(owner, owner.number()["phone_number"])
    made = owner.post(f"{ALL}/{call.id}/escalate", {"reason": "wants a person", "context_note": "be kind"})
    assert made["escalation"]["assigned_agent_id"] == human["id"]
    assert made["escalation"]["trigger_type"] == "manual"
    assert stream.wait_for("escalation.triggered")["data"]["call_id"] == call.id
    eventually(lambda: any(each["status"] != "pending" for each in
                           owner.get("/api/v1/escalations", call_id=call.id)["escalations"]), 20, "the human picks up")
    eventually(lambda: owner.call(call.id)["status"] in ("escalated", "completed"), 20, "the human has the call")
    call.finish()
    ended = eventually(lambda: owner.call(call.id) if owner.call(call.id)["status"] == "completed" else None,
                       20, "an escalated call ends as completed")
    assert ended["assigned_agent"]["id"] == human["id"]
    assert stream.wait_for("escalation.completed")["data"]["call_id"] == call.id


def test_naming_a_human_of_another_workspace_is_refused(owner, stranger, slow_call):
    human = stranger.human()
    call = slow_call(owner, owner.number()["phone_number"])
    answer = owner.ask("POST", f"{ALL}/{call.id}/escalate", {"agent_id": human["id"]})
    assert answer.status_code in (400, 404), answer.text


def test_interventions_are_heard_by_the_caller(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    record = owner.wait_for_call(call.sid, status="in_progress")
    path = f"{ALL}/{record['id']}/intervene"
    for body in ({"action": "send_message", "message": "Offer the customer a purple umbrella."},
                 {"action": "override_instructions", "instructions": "Speak only of umbrellas."},
                 {"action": "pause"}, {"action": "resume"}):
        assert owner.post(path, body)["success"] is True, body
    heard = call.say("What can you offer me?")
    while "purple umbrella" not in heard:
        heard = call.listen(seconds=5)
    call.hang_up()


def test_a_paused_assistant_is_silent_until_it_is_resumed(owner, carrier):
    call = carrier.ring(owner.number()["phone_number"]).answer()
    record = owner.wait_for_call(call.sid, status="in_progress")
    path = f"{ALL}/{record['id']}"
    owner.post(f"{path}/intervene", {"action": "pause"})

    def is_silent():
        """The order reaches the conversation in its own time."""
        try:
            call.say("Are you still there?", seconds=0.5)
            return False
        except TimeoutError:
            return True
    eventually(is_silent, 10, "the assistant is silent")
    noted = owner.get(f"{path}/interactions", speaker="customer")["interactions"]
    assert noted[-1]["text"] == "Are you still there?", "what is said meanwhile is noted all the same"
    owner.post(f"{path}/intervene", {"action": "resume"})
    assert call.listen(), "the words that waited are answered"
    call.hang_up()


@pytest.mark.parametrize("body, field", [
    ({}, "action"), ({"action": "shout"}, "action"), ({"action": "send_message"}, "message"),
    ({"action": "override_instructions"}, "instructions"), ({"action": "send_message", "message": 7}, "message")])
def test_a_bad_intervention_names_the_field(one_call, body, field):
    owner, call = one_call
    assert field in bad_fields(owner.ask("POST", f"{ALL}/{call}/intervene", body))


def test_a_call_that_has_ended_cannot_be_steered(one_call):
    owner, call = one_call
    assert owner.ask("POST", f"{ALL}/{call}/intervene", {"action": "pause"}).status_code == 400
    assert owner.ask("POST", f"{ALL}/{call}/escalate", {}).status_code == 400


def test_ending_a_call_hangs_up_at_the_carrier(owner, slow_call):
    call = slow_call(owner, owner.number()["phone_number"])
    assert call.at_carrier()["status"] == "in-progress"
    ended = owner.post(f"{ALL}/{call.id}/end", {"reason": "test", "notes": "ended by hand"})
    assert ended["success"] is True and ended["call"]["status"] == "completed" and ended["call"]["ended_at"]
    eventually(lambda: call.at_carrier()["status"] == "completed", 10, "the carrier has hung up")
    assert owner.get(f"{ALL}/{call.id}/notes")["notes"][0]["note"] == "ended by hand"
    assert owner.post(f"{ALL}/{call.id}/end")["success"] is True, "ending it again is no error"


# ---- notes


@pytest.fixture
def one_call(owner, carrier):
    """One finished call is enough."""
    call = carrier.ring(owner.number()["phone_number"])
    call.ask_for_instructions()
    call.report("completed", 3, CallDuration="5")
    return owner, owner.wait_for_call(call.sid, status="completed")["id"]


def test_notes_are_kept_in_order_with_their_tags(one_call):
    owner, call = one_call
    ids = [owner.post(f"{ALL}/{call}/notes", {"note": text, "tags": ["a", "b"], "category": "quality"}, 201)["note_id"]
           for text in ("first", "second")]
    notes = owner.get(f"{ALL}/{call}/notes")["notes"]
    assert {note["id"] for note in notes} == set(ids)
    assert {note["note"] for note in notes} == {"first", "second"}
    assert all(note["tags"] == ["a", "b"] and note["category"] == "quality" for note in notes)


@pytest.mark.parametrize("body, field", [({}, "note"), ({"note": ""}, "note"), ({"note": 5}, "note"),
                                         ({"note": "x", "tags": "y"}, "tags"), ({"note": "x" * 10_001}, "note")])
def test_a_bad_note_names_the_field(one_call, body, field):
    owner, call = one_call
    assert field in bad_fields(owner.ask("POST", f"{ALL}/{call}/notes", body))
