"""Document 003 §4 and §5: documents that people upload, what is found in them, and what configurations do to calls."""

import pytest

from outside import documents
from outside.people import bad_fields, error_code, unique
from outside.platform import eventually

LIST, UPLOAD, SEARCH = "/api/v1/knowledge", "/api/v1/knowledge/upload", "/api/v1/knowledge/search"
CONFIGS = "/api/v1/config/business"


def upload(person, file: bytes, name: str, status: int = 202, **fields):
    answer = person.ask("POST", UPLOAD, files={"file": (name, file)}, data=fields)
    assert answer.status_code == status, answer.text[:800]
    return answer.json()


def processed(person, entry_id: int) -> dict:
    def done():
        entry = person.get(f"{LIST}/{entry_id}")["entry"]
        return entry if entry["status"] != "processing" else None
    return eventually(done, 60, "the document is processed")


TEXT = "\n\n".join(f"{heading}:\n\n{text}" for heading, text in documents.PAGES)
MARKDOWN = "# Workshop handbook\n\n" + "\n\n".join(f"## {heading}\n\n{text}" for heading, text in documents.PAGES)
HTML = "<!doctype html><title>Workshop handbook</title>" + "".join(
    f"<h1>{heading}</h1><p>{text}</p><script>alert('{heading}')</script>" for heading, text in documents.PAGES)


@pytest.mark.parametrize("kind, name, file", [
    ("pdf", "workshop.pdf", documents.pdf()), ("docx", "workshop.docx", documents.word()),
    ("txt", "workshop.txt", TEXT.encode()), ("md", "workshop.md", MARKDOWN.encode()),
    ("html", "workshop.html", HTML.encode()),
    # The content decides.
    ("pdf", "workshop.txt", documents.pdf()), ("docx", "workshop.pdf", documents.word())])
def test_a_document_is_found_by_what_it_says(owner, kind, name, file):
    answer = upload(owner, file, name)
    assert answer["processing_status"] == "processing" and answer["message"]
    entry = processed(owner, answer["entry"]["id"])
    assert (entry["status"], entry["progress"], entry["source_type"], entry["source"]) == ("ready", 100, kind, name)
    assert "mended while the customer waits" in entry["content"] and "alert" not in entry["content"]
    assert entry["metadata"]["file_name"] == name and entry["metadata"]["file_size"] == len(file)
    found = owner.get(SEARCH, q="I have a flat tyre, how much is it to have the puncture fixed")["results"][0]
    assert found["entry_id"] == entry["id"] and "twelve dollars" in found["passage"], found
    passages = owner.get(f"{LIST}/{entry['id']}/passages")["passages"]
    assert passages[found["position"]]["id"] == found["passage_id"]
    if kind == "pdf":
        assert entry["metadata"]["pages"] == 3 and passages[0]["page_from"] == 1 and passages[-1]["page_to"] == 3
    listed = owner.get(LIST, search="puncture")
    assert [each["id"] for each in listed["entries"]] == [entry["id"]] and listed["pagination"]["total"] == 1
    assert owner.get(LIST, search="helicopter")["entries"] == []
    owner.ask("DELETE", f"{LIST}/{entry['id']}")
    assert owner.get(SEARCH, q="puncture")["results"] == []


@pytest.mark.parametrize("name, file, reason", [
    ("bomb.docx", documents.zip_bomb, "far more"), ("xxe.docx", documents.external_entity, "document type"),
    ("laughs.docx", documents.billion_laughs, "XML"), ("deep.docx", documents.deep, "deeply"),
    ("locked.pdf", documents.encrypted_pdf, "encrypted"), ("half.pdf", lambda: documents.pdf()[:700], "broken"),
    ("half.docx", lambda: documents.word()[:-4000], "truncated"), ("empty.pdf", lambda: b"", "empty"),
    ("program.pdf", lambda: b"\x7fELF" + bytes(2000), "no PDF"), ("image.docx", lambda: b"\x89PNG\r\n" + bytes(99), "no PDF"),
    ("blank.pdf", lambda: documents.pdf([(" ", " ")]), "no text"),
    ("deep.html", lambda: b"<html><body>" + b"<div>" * 100_000, "deeply"),
    ("archive.docx", lambda: documents.packed({"a.txt": b"x"}), "no DOCX")])
def test_a_hostile_or_broken_file_is_refused_and_leaves_nothing(owner, platform, name, file, reason):
    logs = platform.logs()
    answer = owner.ask("POST", UPLOAD, files={"file": (name, file())})
    assert bad_fields(answer) == {"file"}
    assert reason in answer.json()["error"]["details"]["fields"]["file"][0], answer.text
    assert owner.get(LIST)["entries"] == []
    assert "root:" not in answer.text
    assert logs.errors() == []


def test_a_hundred_megabytes_are_too_much(owner):
    answer = owner.ask("POST", UPLOAD, files={"file": ("big.txt", b"a line of text\n" * (100 << 20 >> 4))})
    assert answer.status_code == 413 and error_code(answer) == "PAYLOAD_TOO_LARGE"
    assert owner.get(LIST)["entries"] == []


def test_fields_of_an_upload_are_checked(owner, stranger):
    mine = owner.post(CONFIGS, {"name": unique("shop"), "type": "retail"}, 201)["config"]["id"]
    for person, data, field in [(owner, {"business_id": "x"}, "business_id"), (stranger, {"business_id": mine}, "business_id"),
                                (owner, {"title": "x" * 301}, "title")]:
        assert field in bad_fields(person.ask("POST", UPLOAD, files={"file": ("a.txt", b"Some text.")}, data=data))
    assert bad_fields(owner.ask("POST", UPLOAD, files={"other": ("a.txt", b"x")})) == {"file"}
    entry = upload(owner, b"Some text.", "a.txt", business_id=mine, title="Mine")["entry"]
    assert entry["title"] == "Mine" and entry["business_id"] == mine
    assert owner.get(LIST, business_id=mine)["entries"][0]["id"] == entry["id"]


def test_an_answer_cites_entry_and_passage(owner, carrier):
    entry = owner.post(LIST, {"title": "Bicycle repairs", "content": documents.PAGES[1][1]}, 201)["entry"]
    call = carrier.ring(owner.number()["phone_number"]).answer()
    record = owner.wait_for_call(call.sid, status="in_progress")
    assert "twelve dollars" in call.say("What does it cost to mend a puncture?")

    def cited():
        lines = owner.get(f"/api/v1/calls/{record['id']}/interactions", speaker="ai")["interactions"]
        return next((line["metadata"]["citations"] for line in lines if line["metadata"].get("citations")), None)
    citation = eventually(cited, 10, "a citation")[0]
    passages = owner.get(f"{LIST}/{entry['id']}/passages")["passages"]
    assert citation["entry_id"] == entry["id"] and citation["passage_id"] == passages[0]["id"]
    call.hang_up()


def configuration(**data) -> dict:
    return {"name": unique("shop"), "type": "retail", "config_data": data}


def test_a_change_reaches_a_live_call(owner, carrier):
    """The keyword is configured while the call runs; then it calls for a human."""
    config = owner.post(CONFIGS, configuration(escalation={"triggers": []}), 201)["config"]
    owner.post(LIST, {"title": "Bicycle repairs", "content": documents.PAGES[1][1]}, 201)
    agent = owner.agent(business_id=config["id"])
    call = carrier.ring(owner.number(agent)["phone_number"]).answer()
    record = owner.wait_for_call(call.sid, status="in_progress")
    assert record["business_id"] == config["id"]
    call.say("I was thinking of a rhubarb pie.")
    assert owner.get("/api/v1/escalations")["escalations"] == []
    trigger = {"type": "keyword", "keywords": ["rhubarb"], "skill": "cooking"}
    changed = owner.ask("PUT", f"{CONFIGS}/{config['id']}", configuration(escalation={"triggers": [trigger]}))
    assert changed.status_code == 200, changed.text
    assert changed.json()["config"]["config_data"]["escalation"]["triggers"] == [trigger]

    def escalated():
        call.say("Is there rhubarb in it?")
        return owner.get("/api/v1/escalations")["escalations"]
    escalation = eventually(escalated, 10, "the new keyword calls for a human")[0]
    assert escalation["call_id"] == record["id"] and escalation["trigger_type"] == "keyword"
    call.hang_up()


def test_a_configuration_in_use_is_not_deleted(owner, carrier):
    config = owner.post(CONFIGS, configuration(), 201)["config"]
    agent = owner.agent(business_id=config["id"])
    number = owner.number(agent)
    entry = owner.post(LIST, {"title": "a", "content": "b", "business_id": config["id"]}, 201)["entry"]
    call = carrier.ring(number["phone_number"]).answer()
    owner.wait_for_call(call.sid, status="in_progress")

    def refused(*by):
        answer = owner.ask("DELETE", f"{CONFIGS}/{config['id']}")
        assert answer.status_code == 400 and error_code(answer) == "IN_USE", answer.text
        assert "Config in use" in answer.json()["error"]["message"]
        return set(answer.json()["error"]["details"]) == set(by)
    assert refused("knowledge_entries", "ai_agents", "phone_numbers", "live_calls")
    call.hang_up()
    owner.ask("DELETE", f"{LIST}/{entry['id']}")
    assert eventually(lambda: refused("ai_agents", "phone_numbers"), 10, "call and entry are gone")
    assert owner.ask("DELETE", f"/api/agents/agents/{agent['id']}/").status_code in (200, 204)
    assert owner.ask("DELETE", f"{CONFIGS}/{config['id']}").status_code == 200
    assert owner.ask("GET", f"{CONFIGS}/{config['id']}").status_code == 404


def test_versions_are_kept_and_one_is_restored(owner):
    config = owner.post(CONFIGS, configuration(ai={"temperature": 0.1, "seed": 1}), 201)["config"]
    path = f"{CONFIGS}/{config['id']}"
    assert config["config_data"]["ai"] == {"model": "", "temperature": 0.1, "system_prompt": ""}
    owner.ask("PUT", path, configuration(ai={"temperature": 0.9}))
    versions = owner.get(f"{path}/versions")
    assert [each["version"] for each in versions["versions"]] == [2, 1]
    assert versions["versions"][0]["changed_by"] == owner.user["id"] and versions["versions"][0]["changed_at"]
    restored = owner.post(f"{path}/versions/1/restore")["config"]
    assert restored["config_data"]["ai"]["temperature"] == 0.1 and restored["name"] == config["name"]
    assert owner.get(f"{path}/versions")["pagination"]["total"] == 3


@pytest.mark.parametrize("data, field", [
    ({"ai": {"temperature": 3}}, "config_data.ai.temperature"),
    ({"voice": {"language": "not a tag"}}, "config_data.voice.language"),
    ({"knowledge_base": {"retrieval_top_k": 1.5}}, "config_data.knowledge_base.retrieval_top_k"),
    ({"quality_assurance": {"enabled": "sure"}}, "config_data.quality_assurance.enabled"),
    ({"escalation": {"triggers": [{"type": "weather"}]}}, "config_data.escalation.triggers[0].type"),
    ({"escalation": {"triggers": [{"type": "keyword"}]}}, "config_data.escalation.triggers[0].keywords")])
def test_a_bad_configuration_names_the_member(owner, data, field):
    assert field in bad_fields(owner.ask("POST", CONFIGS, configuration(**data)))
