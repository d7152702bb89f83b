"""Document 001's users and blacklist, and the audit trail, through the gateway."""

import secrets
import threading
import time

import pytest
import requests
from websockets.exceptions import WebSocketException

from outside.carrier import Call
from outside.mail import VERIFY, mail_to, token_in
from outside.people import PASSWORD, Person, bad_fields, checked, error_code, unique, unique_number
from outside.platform import eventually
from outside.stream import Stream

USERS = "/api/users/users/"
BLACKLIST = "/api/users/blacklist/"
AUDIT = "/api/users/audit/"
WITHIN = 1.0  # contract: "within a second"


@pytest.fixture(scope="module")
def staff(platform, admin) -> Person:
    person = Person.registered(platform)
    checked(admin.ask("PATCH", f"{USERS}{person.user['id']}/", {"is_staff": True}), 200)
    return person.renew()


def of(person: Person, rest: str = "") -> str:
    return f"{USERS}{person.user['id']}/{rest}"


def log_in(platform, person: Person) -> requests.Response:
    return requests.post(platform.url + "/api/auth/login/", json={"email": person.email, "password": PASSWORD}, timeout=20)


def is_out(person: Person) -> bool:
    return person.ask("GET", "/api/users/users/me/").status_code == 401


def blocked(by: Person, **body) -> dict:
    return by.post(BLACKLIST, body, 201)


# ---- users


def test_document_001s_example_creates_a_user(platform, staff):
    name = unique("john_doe").replace("-", "_")
    body = {"username": name, "first_name": "John", "last_name": "Doe", "email": f"{name}@example.com",
            "phone": "+1234567890", "password": "securepassword123"}
    made = staff.post(USERS, body, 201)
    assert made["username"] == name and made["phone"] == "+1234567890" and made["full_name"] == "John Doe"
    assert "password" not in made
    login = requests.post(platform.url + "/api/auth/login/", json={"username": name, "password": "securepassword123"}, timeout=20)
    assert login.status_code == 200
    assert {"email", "username"} & bad_fields(staff.ask("POST", USERS, body))
    assert bad_fields(staff.ask("POST", USERS, {"email": "x", "password": "y", "phone": "z"})) >= {"email", "phone"}


def test_a_key_makes_the_same_account_once(staff):
    body = {"email": f"{unique('once')}@example.com", "password": PASSWORD}
    key = {"Idempotency-Key": unique("key")}
    first, second = staff.ask("POST", USERS, body, headers=key), staff.ask("POST", USERS, body, headers=key)
    assert first.status_code == second.status_code == 201 and first.content == second.content


def test_people_see_themselves_and_staff_see_all(owner, stranger, staff, admin):
    assert [user["id"] for user in owner.get(USERS)["results"]] == [owner.user["id"]]
    assert owner.ask("GET", of(stranger)).status_code == 404
    assert owner.ask("PATCH", of(stranger), {"first_name": "X"}).status_code == 404
    assert owner.ask("POST", USERS, {}).status_code == 403
    for person in (staff, admin):
        found = person.get(USERS, search=owner.email)
        assert found["count"] == 1 and found["results"][0]["id"] == owner.user["id"]
        assert person.get(of(stranger))["email"] == stranger.email


@pytest.mark.parametrize("field, value", [("role", "admin"), ("is_staff", True), ("is_superuser", True), ("is_verified", True)])
def test_nobody_promotes_themselves(owner, field, value):
    answer = owner.ask("PATCH", "/api/users/users/me/", {field: value, "first_name": "Never"})
    assert answer.status_code == 403 and list(answer.json()["errors"]) == [field]
    assert owner.get("/api/users/users/me/")["first_name"] == "Sam"


def test_one_changes_what_is_ones_own(owner):
    changed = checked(owner.ask("PATCH", "/api/users/users/me/", {"first_name": "Nia", "phone": "+4915112345678"}), 200)
    assert changed["first_name"] == "Nia" and changed["phone"] == "+4915112345678"
    whole = owner.get(of(owner)) | {"last_name": "Neu", "id": "x", "created_at": "2001-01-01"}
    replaced = checked(owner.ask("PUT", of(owner), whole), 200)
    assert replaced["last_name"] == "Neu" and replaced["id"] == owner.user["id"]
    assert replaced["created_at"] == changed["created_at"]
    moved = checked(owner.ask("PATCH", "/api/users/users/me/", {"email": f"{unique('moved')}@example.com"}), 200)
    assert moved["is_verified"] is False


def test_staff_touch_no_admin(staff, admin, owner):
    admin_path = f"{USERS}{admin.user['id']}/"
    assert staff.ask("PATCH", admin_path, {"first_name": "X"}).status_code == 403
    assert staff.ask("PATCH", admin_path + "change_status/", {"status": "suspended"}).status_code == 403
    assert staff.ask("PATCH", of(owner), {"role": "admin"}).status_code == 403
    assert staff.ask("PATCH", of(staff, "change_status/"), {"status": "inactive"}).status_code == 403


def test_the_list_pages_orders_and_filters(staff):
    mark = unique("page").replace("-", "")
    for place in range(5):
        staff.post(USERS, {"email": f"{mark}{place}@example.com", "password": PASSWORD, "first_name": f"N{place}"}, 201)
    page = staff.get(USERS, search=mark, ordering="-email", page_size=2)
    assert page["count"] == 5 and [user["email"][len(mark)] for user in page["results"]] == ["4", "3"]
    seen, target = list(page["results"]), page["next"]
    while target:
        more = checked(staff.connection.get(target, headers={"Authorization": f"Bearer {staff.token}"}), 200)
        seen, target = seen + more["results"], more["next"]
    assert [user["email"][len(mark)] for user in seen] == ["4", "3", "2", "1", "0"]
    assert staff.get(USERS, search=mark, ordering="email", page=3, page_size=2)["results"][0]["email"].startswith(mark + "4")
    assert staff.get(USERS, search=mark, role="agent")["count"] == 0
    assert staff.get(USERS, email=f"{mark}1@EXAMPLE.com")["count"] == 1
    assert staff.get(USERS, search=mark, created_at__gte="2001-01-01", created_at__lte="2001-01-02")["count"] == 0
    assert {"ordering", "role"} <= bad_fields(staff.ask("GET", USERS, params={"ordering": "password", "role": "king"}))


def test_a_suspended_person_is_out_within_a_second_sockets_too(platform, staff, owner, streams):
    stream = streams(owner)
    began = time.monotonic()
    checked(staff.ask("PATCH", of(owner, "change_status/"), {"status": "suspended", "reason": "Unpaid."}), 200)
    eventually(lambda: is_out(owner), WITHIN - (time.monotonic() - began), "the access token is refused")
    assert stream.wait_for_close(WITHIN) == 4401
    assert log_in(platform, owner).status_code == 403 and error_code(log_in(platform, owner)) == "ACCOUNT_SUSPENDED"
    wrong = requests.post(platform.url + "/api/auth/login/", json={"email": owner.email, "password": "not this"}, timeout=20)
    assert wrong.status_code == 401
    checked(staff.ask("PATCH", of(owner, "change_status/"), {"status": "active"}), 200)
    assert log_in(platform, owner).status_code == 200


# One of each program, and the gateway's own.
EVERYWHERE = ["/api/users/users/me/", "/api/auth/sessions/", "/api/subscriptions/current/", "/api/v1/calls",
              "/api/v1/analytics/qa", "/api/v1/knowledge", "/api/agents/agents/", "/api/dashboard/user/profile/"]


def test_no_token_says_an_old_role_a_second_after_it_changed(platform, admin, owner):
    """While devices refresh and open sockets as fast as they can."""
    devices = [owner] + [Person.logged_in(platform, owner.email, PASSWORD) for _ in range(3)]
    stop, tokens, sockets, failures = threading.Event(), [], [], []

    def refreshes(device: Person) -> None:
        while not stop.is_set():
            answer = requests.post(platform.url + "/api/auth/refresh/", json={"refresh": device.refresh_token}, timeout=20)
            if answer.status_code != 200:
                failures.append(answer.text)
                return
            device.take(answer.json())
            tokens.append((device.claims["role"], device.token))
            if len(sockets) < 40 and secrets.randbelow(4) == 0:
                try:
                    sockets.append((device.claims["role"], Stream(device)))
                except (OSError, WebSocketException):
                    pass  # cut before it was open

    workers = [threading.Thread(target=refreshes, args=[device]) for device in devices]
    for worker in workers:
        worker.start()
    try:
        for turn in range(15):
            role = "agent" if turn % 2 == 0 else "user"
            checked(admin.ask("PATCH", of(owner), {"role": role}), 200)
            time.sleep(0.1)
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    # What was being answered when the last change was, counts as made by then.
    time.sleep(WITHIN)
    assert failures == [] and {role for role, _ in tokens} == {"agent", "user"}
    old = [token for role, token in tokens if role != "agent"]
    passed = []
    for token in old:
        for path in EVERYWHERE:
            answer = requests.get(platform.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)
            if answer.status_code != 401:
                passed.append(f"{path}: {answer.status_code}")
    assert passed == [], f"of {len(old)} tokens"
    for role, stream in sockets:
        if role != "agent":
            assert stream.wait_for_close(WITHIN) == 4401
        stream.close()
    assert owner.renew(cut=False).get("/api/users/users/me/")["role"] == "agent"


def test_another_address_is_confirmed_and_the_old_one_told(platform, owner, admin):
    new = f"{unique('new')}@example.com"
    checked(owner.ask("PATCH", "/api/users/users/me/", {"email": new}), 200)
    told = mail_to(platform, owner.email, "Your account has another e-mail address")
    assert new not in told.get_content()
    token = token_in(mail_to(platform, new, VERIFY))
    confirmed = requests.post(platform.url + "/api/auth/verify-email/", json={"token": token}, timeout=20)
    assert confirmed.status_code == 200 and owner.get("/api/users/users/me/")["is_verified"] is True
    line = admin.get(AUDIT, actor=owner.user["id"])["results"][0]
    assert line["action"] == "users.updated" and line["after"]["email"] == new and line["before"]["email"] == owner.email


def test_what_one_changes_about_logging_in_is_in_the_trail(owner, admin):
    made = owner.post("/api/auth/api-keys/", {"name": "nightly", "scopes": ["calls:read"]}, 201)
    checked(owner.ask("DELETE", f"/api/auth/api-keys/{made['id']}/"), 204)
    owner.post("/api/dashboard/user/change-password/", {"current_password": PASSWORD, "new_password": PASSWORD + "!"})
    lines = admin.get(AUDIT, actor=owner.user["id"], action="sign_in")["results"]
    assert [line["action"] for line in lines] == [
        "sign_in.password_changed", "sign_in.api_key_revoked", "sign_in.api_key_made"]
    assert all(line["address"] and line["user_agent"] and line["request_id"] for line in lines)
    assert lines[2]["thing"] == "api_key" and lines[2]["thing_id"] == made["id"]
    assert made["key"] not in str(lines) and PASSWORD not in str(lines)


# ---- the blacklist


def test_a_blocked_person_is_out_and_back_once_lifted(platform, staff, owner, streams):
    stream = streams(owner)
    entry = blocked(staff, kind="user", value=owner.user["id"], reason="Fraud.")
    eventually(lambda: is_out(owner), WITHIN, "the access token is refused")
    assert stream.wait_for_close(WITHIN) == 4401
    assert log_in(platform, owner).status_code == 403 and error_code(log_in(platform, owner)) == "ACCOUNT_BLOCKED"
    refresh = requests.post(platform.url + "/api/auth/refresh/", json={"refresh": owner.refresh_token}, timeout=20)
    assert refresh.status_code == 403 and error_code(refresh) == "ACCOUNT_BLOCKED"
    checked(staff.ask("DELETE", f"{BLACKLIST}{entry['id']}/"), 204)
    owner.renew()
    assert owner.get("/api/users/users/me/")["id"] == owner.user["id"]


def test_a_blocked_domain_registers_nobody(platform, staff):
    domain = f"{unique('evil')}.example"
    entry = blocked(staff, kind="email", value=f"*@{domain}")
    body = {"email": f"new@{domain}", "password": PASSWORD}
    refused = requests.post(platform.url + "/api/auth/register/", json=body, timeout=20)
    assert refused.status_code == 403 and error_code(refused) == "ACCOUNT_BLOCKED"
    checked(staff.ask("DELETE", f"{BLACKLIST}{entry['id']}/"), 204)
    assert requests.post(platform.url + "/api/auth/register/", json=body, timeout=20).status_code == 201


def rings(carrier, number: str, caller: str) -> str:
    return Call(carrier, number, caller).ask_for_instructions().text


def test_a_blocked_caller_is_rejected_within_a_second_and_welcome_again(owner, carrier):
    """By the workspace's own owner, for the workspace."""
    number = owner.number()["phone_number"]
    caller = unique_number()
    assert "<ConversationRelay" in rings(carrier, number, caller)
    before = owner.get("/api/v1/calls")["pagination"]["total"]
    entry = blocked(owner, kind="range", value=caller[:-1] + "*", reason="Nuisance.")
    assert entry["workspace"] == owner.workspace
    eventually(lambda: "<Reject" in rings(carrier, number, caller), WITHIN, "the call is rejected")
    total = owner.get("/api/v1/calls")["pagination"]["total"]
    assert "<Reject" in rings(carrier, number, caller)
    assert owner.get("/api/v1/calls")["pagination"]["total"] == total >= before
    checked(owner.ask("DELETE", f"{BLACKLIST}{entry['id']}/"), 204)
    eventually(lambda: "<ConversationRelay" in rings(carrier, number, caller), WITHIN, "the call is taken again")


def test_a_blocked_number_is_not_called(owner, staff):
    owner.number()
    number = "+1415" + f"{secrets.randbelow(9_000_000) + 1_000_000}"
    blocked(staff, kind="phone", value=number)
    order = {"to_number": number}

    def is_refused():
        answer = owner.ask("POST", "/api/v1/calls/initiate", order)
        return answer.status_code == 400 and "to_number" in bad_fields(answer)
    eventually(is_refused, WITHIN, "the order is refused")


def test_managers_block_for_their_workspace_only(owner, stranger, staff):
    mine = blocked(owner, kind="phone", value=unique_number())
    assert stranger.ask("GET", f"{BLACKLIST}{mine['id']}/").status_code == 404
    assert stranger.ask("DELETE", f"{BLACKLIST}{mine['id']}/").status_code == 404
    assert owner.ask("POST", BLACKLIST, {"kind": "user", "value": stranger.user["id"]}).status_code == 403
    foreign = {"kind": "phone", "value": unique_number(), "workspace": stranger.workspace}
    assert owner.ask("POST", BLACKLIST, foreign).status_code == 404
    assert owner.get(BLACKLIST, workspace=owner.workspace)["count"] == 1
    assert staff.get(BLACKLIST, workspace=owner.workspace)["results"][0]["id"] == mine["id"]
    changed = checked(owner.ask("PATCH", f"{BLACKLIST}{mine['id']}/", {"reason": "Spam"}), 200)
    assert changed["reason"] == "Spam" and changed["value"] == mine["value"]


@pytest.mark.parametrize("body, field", [
    ({"kind": "ghost", "value": "x"}, "kind"), ({"kind": "phone"}, "value"), ({"kind": "range", "value": "+1*"}, "value"),
    ({"kind": "email", "value": "nobody"}, "value"), ({"kind": "user", "value": "me"}, "value"),
    ({"kind": "phone", "value": "+14155550100", "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
])
def test_a_bad_entry_is_refused_by_its_field(staff, body, field):
    assert bad_fields(staff.ask("POST", BLACKLIST, body)) == {field}


# ---- the audit trail


def test_what_staff_did_is_in_the_trail_with_the_request_and_what_changed(admin, staff, owner):
    request = unique("request")
    checked(staff.ask("PATCH", of(owner), {"last_name": "Traced"}, headers={"X-Request-Id": request}), 200)
    found = admin.get(AUDIT, search=request)
    assert found["count"] == 1
    line = found["results"][0]
    assert line["action"] == "users.updated" and line["thing_id"] == owner.user["id"]
    assert line["actor"]["id"] == staff.user["id"] and line["actor"]["email"] == staff.email
    assert line["before"] == {"full_name": "Sam Example", "last_name": "Example"}
    assert line["after"] == {"full_name": "Sam Traced", "last_name": "Traced"}
    assert line["address"] and line["request_id"] == request
    assert staff.ask("GET", AUDIT).status_code == 403 and owner.ask("GET", AUDIT).status_code == 403
    newest = admin.get(AUDIT, actor=staff.user["id"], ordering="-created_at", page_size=1)
    assert newest["results"][0]["id"] == line["id"] and newest["next"]
