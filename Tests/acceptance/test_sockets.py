"""Document 003 §2 and the contract's rules for `/ws/calls`."""

import random
import threading
import time

import pytest
import requests
from websockets.exceptions import InvalidStatus

from outside.people import PASSWORD, Person
from outside.platform import eventually
from outside.programs import Extra
from outside.stream import TICKET, Stream

UNKNOWN = "00000000-0000-7000-8000-000000000000"
SOCKETS_MAX = 10


def finished_call(owner, carrier, number) -> str:
    """A whole short call; returns its carrier id."""
    call = carrier.ring(number)
    call.ask_for_instructions()
    call.report("completed", 3, CallDuration="5")
    return call.sid


def started(sid):
    return lambda frame: frame["event"] == "call.started" and frame["data"]["call"]["twilio_call_sid"] == sid


def ended(call_id):
    return lambda frame: frame["event"] == "call.ended" and frame["data"]["call_id"] == call_id


# ---- opening


def refused(person, query):
    with pytest.raises(InvalidStatus) as error:
        Stream(person, query=query)
    return error.value.response.status_code


def test_a_token_in_the_query_opens_a_socket(owner, streams):
    assert streams(owner, query=f"?token={owner.token}").request("ping")["event"] == "pong"


def test_without_a_valid_token_no_socket_opens(owner):
    assert refused(owner, "") == 401
    assert refused(owner, "?token=nonsense") == 401
    assert refused(owner, f"?token={owner.refresh_token}") == 401


def test_a_ticket_opens_one_socket_and_no_second(owner, streams):
    ticket = owner.post(TICKET, status=201)["ticket"]
    assert streams(owner, query=f"?ticket={ticket}").request("ping")["event"] == "pong"
    assert refused(owner, f"?ticket={ticket}") == 401


def test_a_ticket_is_not_the_token(owner):
    assert owner.token not in owner.post(TICKET, status=201)["ticket"]


def test_the_eleventh_socket_of_a_person_is_refused_until_one_closes(owner, stranger, streams):
    opened = [streams(owner) for _ in range(SOCKETS_MAX)]
    with pytest.raises(InvalidStatus) as error:
        Stream(owner)
    assert error.value.response.status_code == 429 and error.value.response.headers["Retry-After"]
    streams(stranger)  # somebody else's are counted for themselves
    opened[0].close()

    def open_another():
        try:
            return streams(owner)
        except InvalidStatus:
            return None
    eventually(open_another, 5, "a closed socket counts no more")


# ---- talking


def test_what_it_does_not_understand_is_answered_with_an_error_frame_and_the_socket_stays(owner, streams):
    stream = streams(owner)
    stream.socket.send("no json at all")
    assert stream.wait_for("error")["data"]["code"] == "VALIDATION_ERROR"
    for event, data in [("dance", {}), ("subscribe", {}), ("subscribe", {"type": "everything"}),
                        ("resume", {"after": "yesterday"}), ("unsubscribe", {"type": 7})]:
        answer = stream.request(event, data)
        assert answer["event"] == "error" and answer["data"]["code"] == "VALIDATION_ERROR", (event, answer)
        assert answer["data"]["message"]
    for text in ('{"data": {}}', "[]", "7", '{"event": 7}', b"\x00\x01"):
        stream.socket.send(text)
        assert stream.wait_for("error")["data"]["code"] == "VALIDATION_ERROR", text
    stream.socket.send('{"event": "ping", "data": "' + "x" * 20_000 + '"}')
    assert stream.wait_for("error")["data"]["code"] == "PAYLOAD_TOO_LARGE"
    assert stream.request("ping")["event"] == "pong"


def test_pings_of_the_protocol_are_answered(owner, streams):
    assert streams(owner).socket.ping().wait(5)


@pytest.mark.parametrize("call_id", [UNKNOWN, "7", ""])
def test_a_call_that_is_none_cannot_be_followed(owner, streams, call_id):
    answer = streams(owner, subscribe=False).request("subscribe", {"type": "call", "call_id": call_id})
    assert answer["event"] == "error" and answer["data"]["code"] == "CALL_NOT_FOUND"


def test_another_workspaces_call_cannot_be_followed(owner, stranger, carrier, streams):
    sid = finished_call(owner, carrier, owner.number()["phone_number"])
    call = owner.wait_for_call(sid)
    answer = streams(stranger, subscribe=False).request("subscribe", {"type": "call", "call_id": call["id"]})
    assert answer["event"] == "error" and answer["data"]["code"] == "CALL_NOT_FOUND"


def test_another_workspaces_calls_are_not_seen(owner, stranger, carrier, streams):
    theirs, mine = streams(stranger), streams(owner)
    sid = finished_call(owner, carrier, owner.number()["phone_number"])
    mine.wait_for(started(sid))
    own = finished_call(stranger, carrier, stranger.number()["phone_number"])
    theirs.wait_for(started(own))
    assert not [frame for frame in theirs.frames if sid in str(frame)]


def test_who_follows_one_call_sees_only_that_one(owner, carrier, streams):
    number = owner.number()["phone_number"]
    every, one = streams(owner), streams(owner, subscribe=False)
    first, second = carrier.ring(number), carrier.ring(number)
    first.ask_for_instructions(), second.ask_for_instructions()
    followed = owner.wait_for_call(first.sid)["id"]
    other = owner.wait_for_call(second.sid)["id"]
    one.subscribe(followed)
    second.report("completed", 3, CallDuration="5")
    every.wait_for(ended(other))
    first.report("completed", 3, CallDuration="5")
    one.wait_for(ended(followed))
    assert other not in str(one.frames)


def test_after_unsubscribing_nothing_comes_any_more(owner, carrier, streams):
    number = owner.number()["phone_number"]
    witness, stream = streams(owner), streams(owner)
    witness.wait_for(started(first := finished_call(owner, carrier, number)))
    stream.wait_for(started(first))
    assert stream.request("unsubscribe", {"type": "all_calls"})["event"] == "unsubscribed"
    second = finished_call(owner, carrier, number)
    witness.wait_for(started(second))
    stream.request("ping")
    assert second not in str(stream.frames)


def test_who_comes_back_gets_what_was_missed_once_and_in_order(owner, carrier, streams):
    number = owner.number()["phone_number"]
    witness, first = streams(owner), streams(owner)
    first.wait_for(started(finished_call(owner, carrier, number)))
    last = first.ids()[-1]
    first.close()

    for _ in range(3):
        call = carrier.ring(number).answer()
        call.say("Hello there.")
        call.hang_up()
    again, late = streams(owner, subscribe=False), streams(owner)
    asked = {"type": "all_calls", "after": str(last)}
    assert again.request("subscribe", asked, answers=("resumed",))["event"] == "resumed"
    assert late.request("resume", {"after": str(last)})["event"] == "resumed"
    sid = finished_call(owner, carrier, number)
    record = owner.wait_for_call(sid, status="completed")
    for stream in (witness, again, late):
        stream.wait_for(ended(record["id"]))
    upto = min(stream.ids()[-1] for stream in (witness, again, late))
    expected = [each for each in witness.ids() if last < each <= upto]
    assert [each for each in again.ids() if each <= upto] == expected
    # Who asks for the rest only after subscribing has what came in between first.
    got = [each for each in late.ids() if each <= upto]
    assert sorted(got) == expected
    since = got[got.index(expected[0]):]
    assert since == sorted(since)
    assert len(expected) > 10


# ---- the eight events of document 003

CALL = {"id", "twilio_call_sid", "direction", "from_number", "to_number", "status", "started_at"}
INTERACTION = {"id", "call_id", "speaker", "text", "timestamp", "metadata"}
SCORE = {"id", "call_id", "overall_score", "sentiment_score", "compliance_score", "accuracy_score",
         "professionalism_score", "sentiment_label", "compliance_issues", "flagged_issues", "reviewed_by", "created_at",
         "updated_at"}
ESCALATION = {"id", "call_id", "status", "trigger_type", "trigger_details", "context_data", "requested_at"}


def test_all_eight_events_come_with_their_members(owner, slow_call, streams):
    stream = streams(owner)
    human = owner.human()
    call = slow_call(owner, owner.number()["phone_number"])
    began = stream.wait_for("call.started")["data"]["call"]
    assert CALL <= set(began) and began["id"] == call.id and began["status"] in ("initiated", "ringing", "in_progress")
    changed = stream.wait_for("call.updated")["data"]["call"]
    assert CALL <= set(changed) and changed["id"] == call.id

    said = stream.wait_for("interaction.added", 30)["data"]
    assert said["call_id"] == call.id and INTERACTION <= set(said["interaction"])
    assert said["interaction"]["speaker"] in ("ai", "customer") and said["interaction"]["call_id"] == call.id
    mood = stream.wait_for("sentiment.changed", 30)["data"]
    assert mood["call_id"] == call.id and -1 <= mood["sentiment"]["score"] <= 1
    assert mood["sentiment"]["label"] in ("positive", "neutral", "negative")

    owner.post(f"/api/v1/calls/{call.id}/escalate", {"reason": "wants a person"})
    opened = stream.wait_for("escalation.triggered")["data"]
    assert opened["call_id"] == call.id and ESCALATION <= set(opened["escalation"])
    assert opened["escalation"]["assigned_agent_id"] == human["id"]
    eventually(lambda: owner.call(call.id)["status"] in ("escalated", "completed"), 30, "the human has the call")
    call.finish()
    closed = stream.wait_for("escalation.completed", 30)["data"]
    assert ESCALATION <= set(closed["escalation"]) and closed["escalation"]["id"] == opened["escalation"]["id"]
    assert closed["escalation"]["status"] == "completed" and closed["escalation"]["completed_at"]

    # These two come in either order, and the score perhaps before the escalation's end.
    eventually(lambda: any(ended(call.id)(frame) for frame in stream.frames) or stream.wait_for(ended(call.id), 30))
    scores = [frame for frame in stream.frames if frame["event"] == "qa.score.updated"]
    score = (scores or [stream.wait_for("qa.score.updated", 30)])[0]["data"]
    assert score["call_id"] == call.id and SCORE <= set(score["qa_score"])
    for name in SCORE:
        if name.endswith("_score"):
            assert 0 <= score["qa_score"][name] <= 1, name
    assert all(frame["id"] and frame["at"].endswith("Z") for frame in stream.frames if "." in frame["event"])


# ---- several gateways


@pytest.fixture(scope="module")
def second(platform, tmp_path_factory):
    """The address of another gateway in front of the same programs."""
    with Extra(platform, "gateway", tmp_path_factory.mktemp("second") / "gateway.log") as gateway:
        yield gateway.ready().url


class Writer:
    """Writes numbered notes to a call until it is told to stop: each becomes a frame."""

    def __init__(self, owner, call_id):
        self.owner, self.call_id = owner, call_id
        self.written = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.write)
        self.thread.start()

    def write(self):
        while not self.stop.is_set():
            self.owner.post(f"/api/v1/calls/{self.call_id}/notes", {"note": f"number {self.written}"}, 201)
            self.written += 1
            time.sleep(random.uniform(0, 0.01))

    def finish(self):
        self.stop.set()
        self.thread.join(30)


def notes_of(stream) -> list[str]:
    return [frame["data"]["note"]["note"] for frame in stream.frames if frame["event"] == "note.added"]


@pytest.mark.parametrize("follows_one_call", [False, True])
def test_cut_off_fifty_times_between_two_gateways_nothing_is_missed_and_nothing_comes_twice(
        owner, carrier, streams, second, follows_one_call):
    sid = finished_call(owner, carrier, owner.number()["phone_number"])
    call = owner.wait_for_call(sid, status="completed")["id"]
    what = {"type": "call", "call_id": call} if follows_one_call else {"type": "all_calls"}
    witness = streams(owner)
    seen, last = [], None
    # Everything the call itself caused is over.
    eventually(lambda: owner.get(f"/api/v1/calls/{call}").get("qa_scores"), 20, "the call is scored")
    writer = Writer(owner, call)
    try:
        for _ in range(50):
            stream = Stream(owner, at=random.choice([None, second]))
            most = random.randint(1, 12)
            stream.send("subscribe", what | ({"after": last} if last else {}))
            stream.wait_for(lambda frame: len(notes_of(stream)) >= most, 30)
            stream.cut()
            seen += notes_of(stream)
            last = str(max([int(last or 0), *stream.ids()]))
    finally:
        writer.finish()
    stream = streams(owner, subscribe=False, at=second)
    stream.send("subscribe", what | {"after": last})
    final = f"number {writer.written - 1}"
    if final not in seen:
        stream.wait_for(lambda frame: frame["event"] == "note.added" and frame["data"]["note"]["note"] == final)
    stream.send("ping")
    stream.wait_for("pong")
    seen += notes_of(stream)
    first = int(seen[0].split()[1])
    assert seen == [f"number {number}" for number in range(first, writer.written)]
    assert len(seen) >= 50
    # And who never left saw the same.
    if final not in notes_of(witness):
        witness.wait_for(lambda frame: frame["event"] == "note.added" and frame["data"]["note"]["note"] == final)
    assert notes_of(witness)[first:] == seen


def test_two_gateways_show_the_same_frames(owner, carrier, streams, second):
    here, there = streams(owner), streams(owner, at=second)
    sid = finished_call(owner, carrier, owner.number()["phone_number"])
    call = owner.wait_for_call(sid, status="completed")["id"]
    for stream in (here, there):
        stream.wait_for(ended(call))
    frames = [{frame["id"]: frame for frame in stream.frames if "id" in frame} for stream in (here, there)]
    common = frames[0].keys() & frames[1].keys()
    assert len(common) >= 2 and all(frames[0][each] == frames[1][each] for each in common)


def test_a_frame_that_is_no_longer_kept_is_answered_with_a_resync(owner, streams):
    stream = streams(owner)
    answer = stream.request("resume", {"after": "999999999999"})
    assert answer["event"] == "resync" and answer["data"]["reason"]
    assert stream.request("ping")["event"] == "pong"


# ---- ending


def test_a_token_that_expires_closes_the_socket_within_a_second(platform, owner, streams, tmp_path):
    with Extra(platform, "auth", tmp_path / "auth.log", ACCESS_TOKEN_SECONDS="4") as auth:
        auth.ready()
        answer = requests.post(auth.url + "/api/auth/login/", json={"email": owner.email, "password": PASSWORD}, timeout=20)
        assert answer.status_code == 200, answer.text
    short = Person(platform, answer.json(), owner.email)
    stream = streams(short)
    expires = short.claims["exp"]
    assert stream.wait_for_close(seconds=expires - time.time() + 1) == 4401
    assert -0.1 <= time.time() - expires <= 1


def test_who_is_blacklisted_is_out_within_a_second(admin, owner, streams):
    stream = streams(owner)
    admin.post("/api/users/blacklist/", {"kind": "user", "value": owner.user["id"]}, 201)
    assert stream.wait_for_close(seconds=1) == 4401


def test_logging_out_closes_the_sockets_of_that_session_within_a_second(platform, owner, streams):
    other = Person.logged_in(platform, owner.email, owner.password)
    stays, goes = streams(other), streams(owner)
    assert owner.ask("POST", "/api/auth/logout/").status_code == 204
    assert goes.wait_for_close(seconds=1) == 4401
    assert stays.request("ping")["event"] == "pong"
