"""Document 003, whole: every endpoint with every answer the document lists, and every frame, held against its types.

The types are `manager/*.json`. What an endpoint does is tested elsewhere (test_calls.py, test_analytics.py, …); here it is
what the answers look like, success and error, with data of calls that happened. The last test fails when an answer the
document lists was not seen, so the file is one piece.
"""

import copy
import io
from datetime import datetime, timedelta, timezone

import pytest
import requests
from pypdf import PdfReader

from outside import documents
from outside.calls import play
from outside.manager import DOCUMENTED, ERROR, FRAMES, Manager, differences, transcribed
from outside.people import Person, unique, unique_number
from outside.platform import eventually
from outside.programs import Extra

UNKNOWN = "00000000-0000-7000-8000-000000000000"
NOT_FOUND = {"call_id": "CALL_NOT_FOUND", "business_id": "CONFIG_NOT_FOUND", "entry_id": "ENTRY_NOT_FOUND",
             "agent_id": "AGENT_NOT_FOUND"}
CONFIG_DATA = {
    "ai": {"model": "any", "temperature": 0.4, "system_prompt": "Be brief."},
    "voice": {"language": "en-US", "voice": "en-US-Journey-O", "response_delay": 0.2},
    "knowledge_base": {"enabled": True, "retrieval_top_k": 3, "similarity_threshold": 0.2},
    "quality_assurance": {"enabled": True, "sentiment_analysis": True, "compliance_check": True,
                          "min_score_threshold": 0.5},
    "escalation": {"enabled": True, "warm_transfer": True, "triggers": [
        {"type": "keyword", "keywords": ["rhubarb"]}, {"type": "sentiment", "threshold": -0.9}]},
}


@pytest.fixture(scope="module")
def seen() -> set:
    return set()


@pytest.fixture(scope="module")
def manager(platform, seen) -> Manager:
    """Somebody with a number, a configuration, a human, and calls that customers made."""
    person = Person.registered(platform)
    manager = Manager(person, seen)
    manager.config = manager.ask("POST /config/business", 201, {
        "name": "Workshop", "type": "retail", "config_data": CONFIG_DATA, "is_active": True})["config"]
    agent = person.agent(business_id=manager.config["id"])
    manager.number = person.number(agent)["phone_number"]
    reports = play(platform, {"to": manager.number, "calls": 3, "at_once": 3, "speed": 20})
    manager.sids = [report["sid"] for report in reports]
    for sid in manager.sids:
        person.wait_for_call(sid, status="completed")
    eventually(lambda: all("qa_score" in call for call in person.get("/api/v1/calls")["calls"]), 20, "calls are scored")
    return manager


@pytest.fixture
def live(manager, carrier):
    """A conversation under way; its id."""
    call = carrier.ring(manager.number).answer()
    yield manager.person.wait_for_call(call.sid, status="in_progress")["id"]
    call.hang_up()


@pytest.fixture
def human(manager):
    agent = manager.person.human(skills=["bicycles"], departments=["sales"], extension="12")
    yield agent
    for each in manager.person.get("/api/v1/escalations", agent_id=agent["id"], limit=100)["escalations"]:
        if each["status"] in ("pending", "in_progress"):
            manager.person.ask("POST", f"/api/v1/escalations/{each['id']}/cancel")
    manager.person.ask("DELETE", f"/api/v1/agents/{agent['id']}")


# ---- the transcription itself


def test_the_transcription_accepts_nothing_else_than_the_document(manager):
    call = manager.ask("GET /calls", 200)["calls"][0]
    assert differences(call, "calls.json#/$defs/Call") == []
    for name, bad in [("id", 7), ("status", "sleeping"), ("direction", None), ("started_at", "2026-02-30T00:00:00Z"),
                      ("started_at", "2026-03-01"), ("ended_at", None), ("duration_seconds", "7"), ("metadata", []),
                      ("qa_score", None), ("assigned_agent", {"id": "x"}), ("failure_reason", None)]:
        assert differences(call | {name: bad}, "calls.json#/$defs/Call"), f"{name} may be {bad!r}"
    for name in ("id", "twilio_call_sid", "metadata", "updated_at"):
        assert differences({key: value for key, value in call.items() if key != name}, "calls.json#/$defs/Call"), name
    assert differences(call | {"more": 1}, "calls.json#/$defs/Call") == []
    assert differences({"error": "no"}, ERROR) and differences({"detail": "no"}, ERROR)
    data = copy.deepcopy(CONFIG_DATA)
    assert differences(data, "config.json#/$defs/ConfigData") == []
    del data["escalation"]["triggers"][0]["type"]
    assert differences(data, "config.json#/$defs/ConfigData")
    assert set(transcribed()["stream.json"]["$defs"]) == FRAMES


# ---- §1 calls


def test_the_list_of_calls_and_its_pages(manager):
    # Its three calls are there, and whatever the tests before left.
    total = manager.ask("GET /calls", 200)["pagination"]["total"]
    assert total >= 3
    for number in range(1, total + 1):
        page = manager.ask("GET /calls", 200, query={"page": number, "limit": 1})
        assert page["pagination"] | {"next_cursor": ""} == {
            "page": number, "limit": 1, "total": total, "total_pages": total, "has_next": number < total,
            "has_prev": number > 1, "next_cursor": ""}
        assert len(page["calls"]) == 1
    beyond = manager.ask("GET /calls", 200, query={"page": total + 1, "limit": 1})
    assert beyond["calls"] == [] and not beyond["pagination"]["has_next"] and beyond["pagination"]["has_prev"]
    default = manager.ask("GET /calls", 200)["pagination"]
    assert (default["page"], default["limit"]) == (1, 50)
    most = manager.ask("GET /calls", 200, query={"limit": 100})["pagination"]
    assert most["limit"] == 100 and most["total_pages"] == 1


@pytest.mark.parametrize("query", [
    {"status": "completed"}, {"direction": "inbound"}, {"from_date": "2026-01-01"}, {"to_date": "2099-01-01T00:00:00Z"},
    {"search": "+1415"}, {"sort_by": "started_at"}, {"sort_by": "duration", "sort_order": "asc"},
    {"sort_by": "qa_score", "sort_order": "desc"}, {"min_qa_score": 0}, {"max_qa_score": 1}, {"sentiment": "neutral"},
    {"status": "initiated"}, {"status": "ringing"}, {"status": "in_progress"}, {"status": "failed"},
    {"status": "escalated"}])
def test_every_filter_of_calls_is_taken(manager, query):
    calls = manager.ask("GET /calls", 200, query=query)["calls"]
    assert all(call.get(name) == value for call in calls for name, value in query.items()
               if name in ("status", "direction", "sentiment"))


@pytest.mark.parametrize("query", [
    {"page": 0}, {"limit": 101}, {"status": "gone"}, {"direction": "up"}, {"business_id": "7"}, {"from_date": "soon"},
    {"to_date": "2026-02-30"}, {"sort_by": "id"}, {"sort_order": "down"}, {"min_qa_score": 2}, {"max_qa_score": -1},
    {"sentiment": "sad"}, {"colour": "green"}])
def test_a_bad_filter_of_calls(manager, query):
    value = manager.ask("GET /calls", 400, query=query, code="VALIDATION_ERROR")
    assert set(value["error"]["details"]["fields"]) == set(query)


def test_a_call_of_the_business_with_its_score_and_transcript(manager):
    found = manager.ask("GET /calls", 200, query={"business_id": manager.config["id"]})["calls"]
    call = next(each for each in found if each["twilio_call_sid"] in manager.sids)
    assert {"business_id", "template_id", "ended_at", "duration_seconds", "qa_score", "sentiment"} <= set(call)
    detail = manager.ask("GET /calls/{call_id}", 200, call_id=call["id"])
    assert detail["call"] == call and detail["qa_scores"]["call_id"] == call["id"]
    lines = manager.ask("GET /calls/{call_id}/interactions", 200, call_id=call["id"])
    assert lines["total"] == detail["interactions_count"] == len(lines["interactions"]) > 1
    assert {line["speaker"] for line in lines["interactions"]} == {"ai", "customer"}
    assert any("sentiment" in line for line in lines["interactions"])
    for speaker in ("ai", "customer"):
        part = manager.ask("GET /calls/{call_id}/interactions", 200, call_id=call["id"],
                           query={"speaker": speaker, "limit": 1, "offset": 0})
        assert [line["speaker"] for line in part["interactions"]] == [speaker] and part["total"] >= 1
    for query in ({"speaker": "dog"}, {"limit": 0}, {"offset": -1}):
        manager.ask("GET /calls/{call_id}/interactions", 400, call_id=call["id"], query=query, code="VALIDATION_ERROR")


def test_calling_out(manager):
    call = manager.ask("POST /calls/initiate", 201, {
        "to_number": unique_number()[:-4] + "0001", "from_number": manager.number, "metadata": {"campaign": None},
        "business_id": manager.config["id"]})["call"]
    assert call["direction"] == "outbound" and call["metadata"] == {"campaign": None}
    for body in ({}, {"to_number": "911"}, {"to_number": "+14155550100", "from_number": "me"},
                 {"to_number": "+14155550100", "business_id": "x"}, {"to_number": "+14155550100", "metadata": 1}):
        manager.ask("POST /calls/initiate", 400, body, code="VALIDATION_ERROR")


def test_steering_a_call(manager, live):
    for body in ({"action": "send_message", "message": "Offer an umbrella."}, {"action": "pause"}, {"action": "resume"},
                 {"action": "override_instructions", "instructions": "Be short."}):
        assert manager.ask("POST /calls/{call_id}/intervene", 200, body, call_id=live)["success"] is True
    for body in ({}, {"action": "shout"}, {"action": "send_message"}, {"action": "override_instructions"}):
        manager.ask("POST /calls/{call_id}/intervene", 400, body, call_id=live, code="VALIDATION_ERROR")
    manager.ask("POST /calls/{call_id}/notes", 201, {"note": "Polite.", "tags": ["a"], "category": "b"}, call_id=live)
    for body in ({}, {"note": ""}, {"note": "x", "tags": "y"}, {"note": "x", "category": 1}):
        manager.ask("POST /calls/{call_id}/notes", 400, body, call_id=live, code="VALIDATION_ERROR")
    ended = manager.ask("POST /calls/{call_id}/end", 200, {"reason": "done", "notes": "by hand"}, call_id=live)
    assert ended["call"]["id"] == live and ended["call"]["status"] == "completed"
    manager.ask("POST /calls/{call_id}/intervene", 400, {"action": "pause"}, call_id=live, code="CALL_ENDED")


def test_escalating_a_call(manager, live, human):
    manager.ask("PATCH /agents/{agent_id}/availability", 200, {"is_available": False}, agent_id=human["id"])
    manager.ask("POST /calls/{call_id}/escalate", 400, {"reason": "x"}, call_id=live, code="NO_AGENT_AVAILABLE")
    manager.ask("POST /calls/{call_id}/escalate", 400, {"agent_id": 7}, call_id=live, code="VALIDATION_ERROR")
    manager.ask("PATCH /agents/{agent_id}/availability", 200, {"is_available": True}, agent_id=human["id"])
    made = manager.ask("POST /calls/{call_id}/escalate", 200, {
        "agent_id": human["id"], "reason": "asked for one", "context_note": "be kind"}, call_id=live)["escalation"]
    assert made["assigned_agent_id"] == human["id"] and made["agent_name"] == human["name"]
    manager.ask("POST /calls/{call_id}/escalate", 409, {}, call_id=live, code="CONFLICT")
    detail = manager.ask("GET /calls/{call_id}", 200, call_id=live)
    assert detail["escalation"]["id"] == made["id"] and detail["agent"]["id"] == human["id"]
    assert detail["call"]["assigned_agent"]["id"] == human["id"] and "escalation_status" in detail["call"]
    manager.ask("DELETE /agents/{agent_id}", 400, agent_id=human["id"], code="IN_USE")


# ---- §2 frames


def test_every_frame_is_as_the_document_has_it(platform, manager, carrier, slow_call, streams):
    person = Person.registered(platform)
    number, stream = person.number()["phone_number"], streams(person)
    person.human()
    talked = carrier.ring(number).answer()
    talked.say("This is wonderful, thank you, great help!")
    talked.say("No. It is terrible, awful, and I hate it.")
    talked.hang_up()
    call = slow_call(person, number)
    Manager(person, manager.seen).ask("POST /calls/{call_id}/escalate", 200, {"reason": "asked"}, call_id=call.id)
    eventually(lambda: person.call(call.id)["status"] in ("escalated", "completed"), 20, "the human has the call")
    call.finish()
    stream.wait_for(lambda frame: frame["event"] == "escalation.completed", 30)

    def all_seen():
        """An answer to a ping comes after whatever was there before it."""
        stream.request("ping")
        return FRAMES <= {frame["event"] for frame in stream.frames}
    eventually(all_seen, 30, "every kind of frame has come")
    frames = [frame for frame in stream.frames if frame["event"] in FRAMES]
    wrong = [f"{frame['event']}: {found} {str(frame)[:400]}" for frame in frames
             for found in differences(frame, f"stream.json#/$defs/{frame['event']}")]
    assert wrong == []
    done = next(frame for frame in frames if frame["event"] == "escalation.completed")["data"]["escalation"]
    assert done["status"] in ("completed", "cancelled")


# ---- §3 analytics


def days() -> dict:
    today = datetime.now(timezone.utc).date()
    return {"from_date": str(today - timedelta(days=1)), "to_date": str(today + timedelta(days=1))}


@pytest.mark.parametrize("query", [{}, {"from_date": "2026-01-01"}, {"to_date": "2099-01-01T00:00:00Z"}, days()])
@pytest.mark.parametrize("report", ["overview", "qa", "sentiment", "escalations"])
def test_figures(manager, report, query):
    # `escalations` counts one where test_escalating_a_call left one; the shape is what matters here.
    endpoint = f"GET /analytics/{report}"
    manager.ask(endpoint, 200, query=query)
    manager.ask(endpoint, 200, query=query | {"business_id": manager.config["id"]})
    manager.ask(endpoint, 200, query=query | {"business_id": UNKNOWN})
    for bad in ({"from_date": "soon"}, {"business_id": "7"}, {"from_date": "2026-02-02", "to_date": "2026-01-01"}):
        manager.ask(endpoint, 400, query=query | bad, code="VALIDATION_ERROR")


def test_figures_of_nothing_are_figures_too(platform, seen):
    nobody = Manager(Person.registered(platform), seen)
    for report in ("overview", "qa", "sentiment", "escalations"):
        nobody.ask(f"GET /analytics/{report}", 200)
    assert nobody.ask("GET /analytics/call-volume", 200, query=days())["data"][0]["total_calls"] == 0
    assert nobody.ask("GET /calls", 200)["pagination"] == {
        "page": 1, "limit": 50, "total": 0, "total_pages": 0, "has_next": False, "has_prev": False, "next_cursor": None}


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("direction", [None, "inbound", "outbound"])
def test_volume(manager, interval, direction):
    query = days() | {"interval": interval} | ({"direction": direction} if direction else {})
    data = manager.ask("GET /analytics/call-volume", 200, query=query)["data"]
    assert all(point["total_calls"] == point["inbound_calls"] + point["outbound_calls"] for point in data)
    assert sum(point["total_calls"] for point in data) >= (0 if direction == "outbound" else 3)


@pytest.mark.parametrize("change", [
    {"from_date": None}, {"to_date": None}, {"to_date": "2001-01-01"}, {"interval": "year"}, {"direction": "up"}])
def test_a_bad_range_of_volume(manager, change):
    query = {name: value for name, value in (days() | change).items() if value is not None}
    manager.ask("GET /analytics/call-volume", 400, query=query, code="VALIDATION_ERROR")


@pytest.mark.parametrize("report", ["overview", "calls", "qa", "sentiment", "escalations", "full"])
def test_a_report_is_a_file(manager, report):
    body = days() | {"report_type": report}
    table = manager.ask("POST /analytics/export", 200, body | {"format": "csv"})
    assert table.headers["Content-Type"].startswith("text/csv") and table.text.count("\n") >= 1
    pages = manager.ask("POST /analytics/export", 200, body | {"format": "pdf", "include_charts": True})
    assert pages.headers["Content-Type"] == "application/pdf" and PdfReader(io.BytesIO(pages.content)).pages
    assert "attachment" in pages.headers["Content-Disposition"]


@pytest.mark.parametrize("body", [
    {}, {"format": "csv"}, {"report_type": "qa"}, {"format": "doc", "report_type": "qa"},
    {"format": "csv", "report_type": "all"}, {"format": "csv", "report_type": "qa", "from_date": "soon"},
    {"format": "pdf", "report_type": "qa", "include_charts": "yes"}])
def test_a_bad_report(manager, body):
    manager.ask("POST /analytics/export", 400, body, code="VALIDATION_ERROR")


# ---- §4 configurations


def test_a_configurations_life(manager):
    body = {"name": unique("shop"), "type": "retail", "config_data": CONFIG_DATA}
    made = manager.ask("POST /config/business", 201, body)["config"]
    # Beyond the document there are the business's own rules of quality.
    rules = made["config_data"]["quality_assurance"].pop("rules")
    assert rules["disclosure"]["required"] is False
    assert made["config_data"] == CONFIG_DATA and made["is_active"] is True
    made["config_data"]["quality_assurance"]["rules"] = rules
    assert manager.ask("GET /config/business/{business_id}", 200, business_id=made["id"])["config"] == made
    sparse = manager.ask("PUT /config/business/{business_id}", 200, {
        "name": "Sparse", "type": "other", "config_data": {}, "is_active": False}, business_id=made["id"])["config"]
    assert sparse["is_active"] is False
    for active in (True, False):
        listed = manager.ask("GET /config/business", 200, query={"is_active": active})["configs"]
        assert {each["is_active"] for each in listed} == {active}
    assert {made["id"], manager.config["id"]} <= {each["id"] for each in manager.ask("GET /config/business", 200)["configs"]}
    manager.ask("GET /config/business", 400, query={"is_active": "perhaps"}, code="VALIDATION_ERROR")
    for bad in ({}, body | {"name": ""}, body | {"type": 7}, body | {"is_active": "yes"}, body | {"config_data": []},
                body | {"config_data": CONFIG_DATA | {"ai": {"temperature": 9}}}):
        manager.ask("POST /config/business", 400, bad, code="VALIDATION_ERROR")
        manager.ask("PUT /config/business/{business_id}", 400, bad, business_id=made["id"], code="VALIDATION_ERROR")
    manager.ask("DELETE /config/business/{business_id}", 400, business_id=manager.config["id"], code="IN_USE")
    assert manager.ask("DELETE /config/business/{business_id}", 200, business_id=made["id"])["success"] is True
    manager.ask("GET /config/business/{business_id}", 404, business_id=made["id"], code="CONFIG_NOT_FOUND")


# ---- §5 knowledge


def test_an_entrys_life(manager):
    body = {"title": "Hours", "content": "Open from nine to five."}
    sparse = manager.ask("POST /knowledge", 201, body)["entry"]
    whole = manager.ask("POST /knowledge", 201, body | {
        "business_id": manager.config["id"], "source": "handbook", "source_type": "text", "metadata": {"page": 3}})["entry"]
    assert whole["metadata"] == {"page": 3} and whole["business_id"] == manager.config["id"]
    assert "business_id" not in sparse and "source" not in sparse
    uploads = [manager.ask("POST /knowledge/upload", 202, files={"file": (name, file)},
                           data={"title": "Workshop", "business_id": manager.config["id"]})["entry"]
               for name, file in (("a.txt", b"Some text."), ("a.pdf", documents.pdf()), ("a.docx", documents.word()))]
    for number in range(1, 6):
        pages = manager.ask("GET /knowledge", 200, query={"page": number, "limit": 1})["pagination"]
        assert (pages["total"], pages["total_pages"], pages["has_next"], pages["has_prev"]) == (5, 5, number < 5, number > 1)
    found = manager.ask("GET /knowledge", 200, query={"search": "five", "limit": 1})
    assert found["pagination"]["total"] == 2 and found["pagination"]["has_next"]
    of_business = manager.ask("GET /knowledge", 200, query={"business_id": manager.config["id"]})["entries"]
    assert {each["id"] for each in of_business} == {whole["id"]} | {each["id"] for each in uploads}
    for query in ({"page": 0}, {"limit": 101}, {"business_id": 7}, {"colour": "green"}):
        manager.ask("GET /knowledge", 400, query=query, code="VALIDATION_ERROR")
    for bad in ({}, {"title": "x"}, body | {"title": ""}, body | {"business_id": UNKNOWN}, body | {"metadata": "x"}):
        manager.ask("POST /knowledge", 400, bad, code="VALIDATION_ERROR")
    for files in ({"file": ("a.pdf", b"")}, {"other": ("a.txt", b"x")}, {"file": ("a.exe", b"\x7fELF" + bytes(99))}):
        manager.ask("POST /knowledge/upload", 400, files=files, code="VALIDATION_ERROR")
    for entry in (sparse, whole, *uploads):
        assert manager.ask("DELETE /knowledge/{entry_id}", 200, entry_id=entry["id"])["success"] is True
    manager.ask("DELETE /knowledge/{entry_id}", 404, entry_id=whole["id"], code="ENTRY_NOT_FOUND")


# ---- §6 agents


def test_an_agents_life(manager):
    sparse = {"name": "Hana", "email": f"{unique('hana')}@example.com"}
    whole = {"name": "Hugo", "email": f"{unique('hugo')}@example.com", "phone_number": unique_number(), "extension": "7",
             "skills": ["bicycles"], "departments": ["sales"], "is_available": False, "is_active": True,
             "metadata": {"desk": 4}}
    agents = [manager.ask("POST /agents", 201, body)["agent"] for body in (sparse, whole)]
    for body, agent in zip((sparse, whole), agents):
        assert {name: agent[name] for name in body} == body
        assert manager.ask("GET /agents/{agent_id}", 200, agent_id=agent["id"])["agent"] == agent
    assert not {"phone_number", "extension", "average_rating"} & set(agents[0])
    changed = manager.ask("PUT /agents/{agent_id}", 200, whole | {"name": "Hugh", "is_active": False}, agent_id=agents[1]["id"])
    assert changed["agent"]["name"] == "Hugh"
    moved = manager.ask("PATCH /agents/{agent_id}/availability", 200, {"is_available": True}, agent_id=agents[0]["id"])
    assert moved["agent"]["is_available"] is True and "last_active_at" in moved["agent"]
    for name in ("is_active", "is_available"):
        for wanted in (True, False):
            listed = manager.ask("GET /agents", 200, query={name: wanted})["agents"]
            assert listed and {each[name] for each in listed} == {wanted}
    manager.ask("GET /agents", 400, query={"is_active": "perhaps"}, code="VALIDATION_ERROR")
    for bad in ({}, {"name": "x"}, sparse | {"email": "x"}, sparse | {"phone_number": "911"}, sparse | {"skills": "x"},
                sparse | {"is_active": 1}, sparse | {"metadata": []}):
        manager.ask("POST /agents", 400, bad, code="VALIDATION_ERROR")
        manager.ask("PUT /agents/{agent_id}", 400, bad, agent_id=agents[0]["id"], code="VALIDATION_ERROR")
    for bad in ({}, {"is_available": "yes"}, {"is_available": None}):
        manager.ask("PATCH /agents/{agent_id}/availability", 400, bad, agent_id=agents[0]["id"], code="VALIDATION_ERROR")
    manager.ask("POST /agents", 400, sparse, code="VALIDATION_ERROR")  # the address is taken
    for agent in agents:
        assert manager.ask("DELETE /agents/{agent_id}", 200, agent_id=agent["id"])["success"] is True
        manager.ask("GET /agents/{agent_id}", 404, agent_id=agent["id"], code="AGENT_NOT_FOUND")


# ---- §7 errors, whatever is asked


BODIES = {
    "POST /calls/{call_id}/intervene": {"action": "pause"}, "POST /calls/{call_id}/notes": {"note": "x"},
    "PUT /config/business/{business_id}": {"name": "x", "type": "y", "config_data": {}},
    "PUT /agents/{agent_id}": {"name": "x", "email": "x@example.com"},
    "PATCH /agents/{agent_id}/availability": {"is_available": True}}


@pytest.mark.parametrize("endpoint", DOCUMENTED)
def test_without_a_valid_token_everything_is_unauthorized(platform, manager, endpoint):
    method, path = endpoint.split(" ", 1)
    for name in NOT_FOUND:
        path = path.replace(f"{{{name}}}", UNKNOWN)
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {manager.person.refresh_token}"}):
        answer = requests.request(method, f"{platform.url}/api/v1{path}", headers=headers, json={}, timeout=10)
        manager.checked(answer, endpoint, 401, "UNAUTHORIZED")
        assert answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("bad_id", [UNKNOWN, "7777777", "not-an-id", "%F0%9F%9A%B2"])
@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED if "{" in each])
def test_what_is_not_there_is_not_found(manager, endpoint, bad_id):
    name = next(name for name in NOT_FOUND if name in endpoint)
    manager.ask(endpoint, 404, BODIES.get(endpoint), code=NOT_FOUND[name], **{name: bad_id})


@pytest.mark.parametrize("endpoint", [each for each in DOCUMENTED if "{" in each])
def test_what_is_another_workspaces_is_not_found(manager, platform, seen, live, human, endpoint):
    other = Manager(Person.registered(platform), seen)
    entry = manager.ask("POST /knowledge", 201, {"title": "a", "content": "b"})["entry"]["id"]
    ids = {"call_id": live, "business_id": manager.config["id"], "entry_id": entry, "agent_id": human["id"]}
    name = next(name for name in NOT_FOUND if name in endpoint)
    other.ask(endpoint, 404, BODIES.get(endpoint), code=NOT_FOUND[name], **{name: ids[name]})
    manager.ask("DELETE /knowledge/{entry_id}", 200, entry_id=entry)


def test_who_may_only_look_is_forbidden_the_rest(manager, platform, seen, live, human):
    person = Person.registered(platform)
    owner = manager.person
    owner.post(f"/api/workspaces/workspaces/{owner.workspace}/add_users/", {"user_ids": [person.user["id"]], "role": "viewer"})
    viewer = Manager(person.renew(), seen)
    ids = {"call_id": live, "business_id": manager.config["id"], "agent_id": human["id"]}
    for endpoint in DOCUMENTED:
        if endpoint.startswith("GET") or "{" not in endpoint or "{entry_id}" in endpoint:
            continue
        name = next(name for name in ids if name in endpoint)
        viewer.ask(endpoint, 403, BODIES.get(endpoint), code="FORBIDDEN", **{name: ids[name]})


def test_other_errors_have_the_same_form(manager, platform, tmp_path):
    person, key = manager.person, {"Idempotency-Key": unique("key")}
    note = ("POST /knowledge", {"title": "a", "content": "b"})
    entry = manager.ask(note[0], 201, note[1], headers=key)["entry"]["id"]
    manager.ask(note[0], 422, note[1] | {"title": "c"}, headers=key, code="IDEMPOTENCY_MISMATCH")
    manager.ask("DELETE /knowledge/{entry_id}", 200, entry_id=entry)
    manager.ask(note[0], 413, note[1] | {"content": "x" * (3 << 20)}, code="PAYLOAD_TOO_LARGE")

    def raw(text, kind):
        return requests.post(f"{platform.url}/api/v1/knowledge", data=text, timeout=10,
                             headers={"Authorization": f"Bearer {person.token}", "Content-Type": kind})
    manager.checked(raw("title=a", "text/plain"), note[0], 415, "UNSUPPORTED_MEDIA_TYPE")
    # An address may have 8 KiB.
    manager.ask("GET /knowledge/search", 414, query={"q": "x" * (12 << 10)}, code="TARGET_TOO_LONG")
    for text in ("{", "[]", "7", '{"title": "a",}', "\xff"):
        manager.checked(raw(text.encode("latin-1"), "application/json"), note[0], 400, "VALIDATION_ERROR")
    manager.ask("GET /nowhere", 404, code="ROUTE_NOT_FOUND")
    manager.ask("PATCH /calls", 405, code="METHOD_NOT_ALLOWED")
    with Extra(platform, "gateway", tmp_path / "log", RATE_LIMIT_STANDARD_PER_MINUTE="1") as gateway:
        gateway.ready()
        # The minute may turn once between them.
        answers = [requests.get(f"{gateway.url}/api/v1/calls", timeout=10,
                                headers={"Authorization": f"Bearer {person.token}"}) for _ in range(4)]
        manager.checked(answers[0], "GET /calls", 200)
        limited = next(each for each in answers if each.status_code == 429)
        manager.checked(limited, "GET /calls", 429, "RATE_LIMITED")
        for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"):
            assert limited.headers[name].isdigit()
    manager.ask("DELETE /knowledge/{entry_id}", 404, entry_id=entry, code="ENTRY_NOT_FOUND")


# ---- all of it


def test_every_answer_the_document_lists_was_seen(seen):
    """Runs last, after the whole file."""
    listed = {(endpoint, status) for endpoint, answers in DOCUMENTED.items() for status in answers}
    assert len(DOCUMENTED) == 29
    assert sorted(listed - seen) == []
