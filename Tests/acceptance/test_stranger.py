"""What somebody who only knows Twilio and WebSockets can do: one call from a signed webhook to its score."""

from outside.people import unique_number
from outside.platform import eventually

ENTRY = {
    "title": "Returning a telescope",
    "content": "A telescope can be returned within forty-one days when the lens cap is still sealed. "
               "The return label is printed from the order page.",
    "source": "test", "source_type": "manual",
}
QUESTION = "Within how many days can a telescope be returned?"


def test_a_question_is_answered_from_the_entry_just_added_and_everything_arrives_on_the_socket(
        owner, carrier, streams):
    stream = streams(owner)
    number = owner.number()["phone_number"]
    owner.post("/api/v1/knowledge", ENTRY, 201)

    call = carrier.ring(number).answer()
    assert call.greeting
    answer = call.say(QUESTION)
    assert "forty-one" in answer, answer
    call.say("That is wonderful, thank you so much, you were a great help!")
    assert call.hang_up(seconds=31).status_code == 200

    # They come in no agreed order: the score and the call's end travel on different topics.
    score = stream.wait_for("qa.score.updated")["data"]
    if "call.ended" not in {frame["event"] for frame in stream.frames}:
        stream.wait_for("call.ended")
    assert 0 <= score["qa_score"]["overall_score"] <= 1
    by_event = {frame["event"]: frame["data"] for frame in stream.frames}
    assert {"interaction.added", "sentiment.changed", "call.ended"} <= set(by_event)
    call_id = score["call_id"]
    assert by_event["call.ended"]["call_id"] == by_event["sentiment.changed"]["call_id"] == call_id
    assert -1 <= by_event["sentiment.changed"]["sentiment"]["score"] <= 1
    assert by_event["sentiment.changed"]["sentiment"]["label"] in ("positive", "neutral", "negative")
    said = [frame["data"]["interaction"] for frame in stream.frames if frame["event"] == "interaction.added"]
    assert QUESTION in [line["text"] for line in said if line["speaker"] == "customer"]
    assert all("at" in frame for frame in stream.frames if "id" in frame)
    assert stream.ids() == sorted(set(stream.ids())), "frames come once and in order"

    lines = owner.get(f"/api/v1/calls/{call_id}/interactions")["interactions"]
    assert [line["text"] for line in lines if line["speaker"] == "customer"][0] == QUESTION
    reply = next(line for line in lines if line["speaker"] == "ai" and "forty-one" in line["text"])
    assert reply["metadata"].get("citations"), "an answer names the entry it came from"
    ended = eventually(lambda: owner.call(call_id) if owner.call(call_id).get("qa_score") is not None else None,
                       10, "the call carries its score")
    assert ended["status"] == "completed" and ended["duration_seconds"] == 31


def test_an_entry_that_was_deleted_is_not_answered_from(owner, carrier):
    number = owner.number()["phone_number"]
    entry = owner.post("/api/v1/knowledge", ENTRY, 201)["entry"]
    assert owner.get("/api/v1/knowledge/search", q=QUESTION, limit=3)["results"][0]["entry_id"] == entry["id"]
    assert owner.ask("DELETE", f"/api/v1/knowledge/{entry['id']}").status_code == 200
    call = carrier.ring(number).answer()
    assert "forty-one" not in call.say(QUESTION)
    call.hang_up()


def test_another_workspaces_entry_is_not_answered_from(owner, stranger, carrier):
    stranger.post("/api/v1/knowledge", ENTRY, 201)
    call = carrier.ring(owner.number()["phone_number"]).answer()
    assert "forty-one" not in call.say(QUESTION)
    call.hang_up()


def test_who_is_angry_is_offered_a_colleague_and_gets_one_with_a_yes(owner, carrier):
    owner.human(phone_number=unique_number())
    call = carrier.ring(owner.number()["phone_number"]).answer()
    assert "Shall I connect you with a colleague" in call.say("This is the third time I call, I am furious!")
    call.say("Yes please.")
    shown = owner.wait_for_call(call.sid)
    # The human's telephone is answered at once here.
    eventually(lambda: owner.call(shown["id"]).get("escalation_status") in ("pending", "in_progress"), 10, "it is handed over")
    call.hang_up()
