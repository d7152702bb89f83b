"""Document 003 §2 and the contract's rules for `/ws/calls`."""

import pytest
from websockets.exceptions import InvalidStatus

from outside.people import Person
from outside.platform import eventually
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
    stream.socket.send('{"data": {}}')
    assert stream.wait_for("error")["data"]["code"] == "VALIDATION_ERROR"
    assert stream.request("ping")["event"] == "pong"


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
    again = streams(owner)
    assert again.request("resume", {"after": str(last)})["event"] == "resumed"
    sid = finished_call(owner, carrier, number)
    record = owner.wait_for_call(sid, status="completed")
    for stream in (witness, again):
        stream.wait_for(ended(record["id"]))
    upto = min(witness.ids()[-1], again.ids()[-1])
    expected = [each for each in witness.ids() if last < each <= upto]
    assert [each for each in again.ids() if each <= upto] == expected
    assert len(expected) > 10


# ---- ending


def test_logging_out_closes_the_sockets_of_that_session_within_a_second(platform, owner, streams):
    other = Person.logged_in(platform, owner.email, owner.password)
    stays, goes = streams(other), streams(owner)
    assert owner.ask("POST", "/api/auth/logout/").status_code == 204
    assert goes.wait_for_close(seconds=1) == 4401
    assert stays.request("ping")["event"] == "pong"
