"""Document 001's workspaces: members, roles, invitations and figures, through the gateway."""

import os
import re
import signal

from outside.mail import INVITED, mail_to, token_line
from outside.people import Person, bad_fields, checked, error_code, unique
from outside.platform import eventually

WORKSPACES = "/api/workspaces/workspaces/"
INVITATIONS = "/api/workspaces/invitations/"
UNKNOWN = "00000000-0000-7000-8000-000000000000"


def at(person: Person, rest: str = "") -> str:
    return f"{WORKSPACES}{person.workspace}/{rest}"


def add(owner: Person, *people: Person, role: str) -> dict:
    return owner.post(at(owner, "add_users/"), {"user_ids": [each.user["id"] for each in people], "role": role})


def test_document_001s_example_creates_a_workspace(owner, stranger):
    made = owner.post(WORKSPACES, {"workspace_name": "Marketing Team"}, 201)
    assert made["workspace_name"] == made["name"] == "Marketing Team"
    assert made["role"] == "owner" and made["owner"] == owner.user["id"]
    path = f"{WORKSPACES}{made['id']}/"
    assert owner.get(path)["id"] == made["id"]
    assert stranger.ask("GET", path).status_code == 404
    renamed = checked(owner.ask("PATCH", path, {"workspace_name": "Sales"}), 200)
    assert renamed["name"] == "Sales"
    assert [each["name"] for each in owner.get(WORKSPACES, search="sales")["results"]] == ["Sales"]
    assert bad_fields(owner.ask("POST", WORKSPACES, {})) == {"workspace_name"}
    owner.renew(cut=False)
    assert owner.claims["ws"][made["id"]] == "owner"
    agent = owner.post("/api/agents/agents/", {"greeting": "Hello.", "workspace": made["id"]}, 201)
    assert agent["workspace"] == made["id"]


def test_a_key_makes_one_workspace(owner):
    key = {"Idempotency-Key": unique("key")}
    answers = [owner.ask("POST", WORKSPACES, {"name": "Once"}, headers=key) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201] and answers[0].content == answers[1].content
    assert owner.get(WORKSPACES)["count"] == 2


def test_members_are_added_row_by_row_and_work_there_at_once(platform, owner, stranger):
    body = {"user_ids": [stranger.user["id"], owner.user["id"], "nonsense", UNKNOWN], "role": "manager"}
    told = owner.post(at(owner, "add_users/"), body)
    assert [row["result"] for row in told["results"]] == ["added", "already_member", "not_found", "not_found"]
    stranger.renew()
    assert stranger.claims["ws"][owner.workspace] == "manager"
    members = stranger.get(at(owner, "users/"), ordering="email")
    assert {each["id"]: each["role"] for each in members["results"]} == {
        owner.user["id"]: "owner", stranger.user["id"]: "manager"}
    assert stranger.post("/api/agents/agents/", {"greeting": "Hello.", "workspace": owner.workspace}, 201)


def test_who_is_removed_is_out_within_a_second(owner, stranger):
    add(owner, stranger, role="viewer")
    stranger.renew()
    assert stranger.ask("GET", at(owner)).status_code == 200
    told = owner.post(at(owner, "remove_users/"), {"user_ids": [stranger.user["id"], UNKNOWN]})
    assert [row["result"] for row in told["results"]] == ["removed", "not_found"]
    eventually(lambda: stranger.ask("GET", "/api/v1/calls").status_code == 401, 1, "the old token is refused")
    stranger.renew()
    assert owner.workspace not in stranger.claims["ws"]
    assert stranger.ask("GET", at(owner)).status_code == 404


def test_the_last_owner_stays_and_managers_do_not_touch_owners(owner, stranger):
    add(owner, stranger, role="manager")
    stranger.renew()
    assert stranger.ask("PATCH", at(owner, f"users/{owner.user['id']}/"), {"role": "viewer"}).status_code == 403
    assert stranger.ask("POST", at(owner, "add_users/"), {"user_ids": [UNKNOWN], "role": "owner"}).status_code == 403
    told = stranger.post(at(owner, "remove_users/"), {"user_ids": [owner.user["id"]]})
    assert told["results"][0]["result"] == "forbidden"
    assert owner.ask("PATCH", at(owner, f"users/{owner.user['id']}/"), {"role": "viewer"}).status_code == 409
    left = owner.post(at(owner, "remove_users/"), {"user_ids": [owner.user["id"]]})
    assert left["results"][0]["result"] == "last_owner"
    assert stranger.ask("DELETE", at(owner)).status_code == 403


def test_ownership_is_transferred(owner, stranger):
    place = at(owner)
    assert bad_fields(owner.ask("POST", place + "transfer_ownership/", {"user_id": stranger.user["id"]})) == {"user_id"}
    add(owner, stranger, role="agent")
    done = owner.post(place + "transfer_ownership/", {"user_id": stranger.user["id"]})
    assert done["owner"] == stranger.user["id"] and done["role"] == "manager"
    workspace = done["id"]
    owner.renew()
    stranger.renew()
    assert (owner.claims["ws"][workspace], stranger.claims["ws"][workspace]) == ("manager", "owner")
    assert owner.ask("DELETE", place).status_code == 403
    checked(stranger.ask("DELETE", place), 204)
    stranger.renew()
    assert workspace not in stranger.claims["ws"]


def test_an_agent_who_joins_takes_calls(platform, owner):
    agent = Person.registered(platform, role="agent", first_name="Ari", last_name="Agent")
    told = owner.post(at(owner, "add_users/"), {"user_ids": [agent.user["id"]]})
    assert told["results"][0] == {"user_id": agent.user["id"], "result": "added", "role": "agent", "detail": None}

    def humans():
        return [each for each in owner.get("/api/v1/agents")["agents"] if each["email"] == agent.email]
    made = eventually(humans, 5, "a human agent")
    assert len(made) == 1 and made[0]["name"] == "Ari Agent" and made[0]["is_available"] is False
    agent.renew()
    done = checked(agent.ask("PATCH", f"/api/v1/agents/{made[0]['id']}/availability", {"is_available": True}), 200)
    assert done["agent"]["is_available"] is True
    owner.post(at(owner, "remove_users/"), {"user_ids": [agent.user["id"]]})
    eventually(lambda: humans()[0]["is_active"] is False, 5, "no longer active")


def test_a_human_agent_made_before_is_linked_when_its_person_arrives(platform, owner):
    email = f"{unique('hana')}@example.com"
    made = owner.human(email=email)
    arrived = Person.registered(platform, email=email.upper(), role="agent")
    add(owner, arrived, role="agent")
    arrived.renew()

    def can_act():
        return arrived.ask("PATCH", f"/api/v1/agents/{made['id']}/availability", {"is_available": False}).status_code == 200
    eventually(can_act, 5, "their own availability")
    assert [each["id"] for each in owner.get("/api/v1/agents")["agents"] if each["email"].lower() == email.lower()] == [made["id"]]


def test_an_invitation_reaches_somebody_who_registers_then(platform, owner, stranger):
    email = f"{unique('invited')}@example.com"
    made = owner.post(INVITATIONS, {"email": email, "role": "agent"}, 201)
    assert made["status"] == "pending" and "token" not in made
    token = token_line(mail_to(platform, email, INVITED).get_content())
    assert stranger.ask("POST", INVITATIONS + "accept/", {"token": token}).status_code == 403
    assert stranger.ask("GET", f"{INVITATIONS}{made['id']}/").status_code == 404
    person = Person.registered(platform, email=email)
    joined = person.post(INVITATIONS + "accept/", {"token": token})
    assert joined["role"] == "agent" and joined["workspace"]["id"] == owner.workspace
    person.renew()
    assert person.claims["ws"][owner.workspace] == "agent"
    assert person.get("/api/users/users/me/")["is_verified"] is True
    assert person.ask("POST", INVITATIONS + "accept/", {"token": token}).status_code == 404
    assert owner.get(INVITATIONS, status="accepted")["results"][0]["accepted_by"] == person.user["id"]


def test_an_invitation_is_withdrawn_and_not_sent_twice_a_minute(platform, owner, stranger):
    made = owner.post(INVITATIONS, {"email": stranger.email}, 201)
    again = owner.ask("POST", f"{INVITATIONS}{made['id']}/resend/")
    assert again.status_code == 429 and int(again.headers["Retry-After"]) <= 61
    assert bad_fields(owner.ask("POST", INVITATIONS, {"email": stranger.email})) == {"email"}
    checked(owner.ask("DELETE", f"{INVITATIONS}{made['id']}/"), 204)
    token = token_line(mail_to(platform, stranger.email, INVITED).get_content())
    gone = stranger.ask("POST", INVITATIONS + "accept/", {"token": token})
    assert gone.status_code == 404 and error_code(gone) == "INVITATION_NOT_FOUND"


# ---- figures


def test_the_figures_of_a_workspace_come_from_three_programs(owner, stranger, admin, carrier):
    agent = owner.agent()
    number = owner.number(agent)
    owner.human()
    call = carrier.ring(number["phone_number"])
    call.ask_for_instructions()
    call.report("completed", 3, CallDuration="90")
    add(owner, stranger, role="viewer")
    stranger.renew()

    def settled():
        stats = stranger.get(at(owner, "stats/"))
        return stats if stats["calls"] and stats["calls"]["completed"] == 1 and stats["minutes"] else None
    stats = eventually(settled, 10, "the call in the figures")
    assert stats["workspace"] == owner.workspace and stats["incomplete"] == []
    assert stats["members"] == {"total": 2, "owner": 1, "manager": 0, "agent": 0, "viewer": 1}
    assert stats["ai_agents"]["total"] == 1 and stats["phone_numbers"] == 1
    assert stats["human_agents"]["total"] == 1 and stats["calls"]["total"] == 1 and stats["minutes"] == 1.5
    assert admin.get(at(owner, "stats/"))["members"]["total"] == 2
    assert admin.ask("GET", f"{WORKSPACES}{UNKNOWN}/stats/").status_code == 404
    assert admin.ask("GET", f"{WORKSPACES}nonsense/stats/").status_code == 404


def test_figures_are_for_members(owner, stranger):
    assert stranger.ask("GET", at(owner, "stats/")).status_code == 404
    made = owner.post(WORKSPACES, {"name": "New"}, 201)
    assert owner.get(f"{WORKSPACES}{made['id']}/stats/")["members"]["owner"] == 1, "with a token of before"


def test_a_part_that_does_not_answer_is_named(platform, owner):
    """qa-analytics is stopped in its tracks, as an overloaded program would be, and goes on afterwards."""
    process = int(re.search(r"qa-analytics\b.*?pid (\d+)", platform.tell("status")).group(1))
    os.kill(process, signal.SIGSTOP)
    try:
        stats = owner.get(at(owner, "stats/"))
    finally:
        os.kill(process, signal.SIGCONT)
    assert stats["calls"] is None and stats["minutes"] is None and stats["incomplete"] == ["calls", "minutes"]
    assert stats["members"]["total"] == 1 and stats["ai_agents"]["total"] == 0
    eventually(lambda: owner.get(at(owner, "stats/"))["incomplete"] == [], 10, "whole again")
