"""Proving who one is, through the gateway, with real mails, real codes and real keys."""

import base64
import hashlib
import hmac
import struct
import threading
import time

import pytest
import requests
import websockets.sync.client

from outside.mail import CHANGED, RESET, VERIFY, all_mails, mail_to, token_in
from outside.people import PASSWORD, Person, bad_fields, checked, error_code, unique
from outside.platform import eventually

WITHIN = 1.0  # contract: "cut access within a second"
ME = "/api/users/users/me/"


def post(platform, path, body, **how):
    return requests.post(platform.url + path, json=body, timeout=30, **how)


def me(platform, **how):
    return requests.get(platform.url + ME, timeout=30, **how)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# ---- mails


def test_a_link_in_a_mail_confirms_the_address(platform, owner):
    mail = mail_to(platform, owner.email, VERIFY)
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Message-ID"] and mail["Date"].datetime
    assert f"{platform.url}/api/auth/verify-email/#token=" in mail.get_content()
    assert owner.get(ME)["is_verified"] is False
    body = {"token": token_in(mail)}
    checked(post(platform, "/api/auth/verify-email/", body), 200)
    assert owner.get(ME)["is_verified"] is True
    assert "token" in bad_fields(post(platform, "/api/auth/verify-email/", body))


def test_the_platforms_own_command_shows_the_mail(platform, owner):
    mail_to(platform, owner.email, VERIFY)
    shown = platform.tell("mail", owner.email)
    assert owner.email in shown and "#token=" in shown


def test_a_forgotten_password_is_set_anew_and_every_session_ends(platform, owner):
    other = Person.logged_in(platform, owner.email, PASSWORD)
    checked(post(platform, "/api/auth/password/reset/", {"email": owner.email}), 200)
    token = token_in(mail_to(platform, owner.email, RESET))
    new = "a wholly other phrase 9"
    checked(post(platform, "/api/auth/password/reset/confirm/", {"token": token, "new_password": new}), 200)
    for person in (owner, other):
        eventually(lambda: me(platform, headers=bearer(person.token)).status_code == 401, WITHIN, "the session is over")
        assert post(platform, "/api/auth/refresh/", {"refresh": person.refresh_token}).status_code == 401
    assert post(platform, "/api/auth/login/", {"email": owner.email, "password": PASSWORD}).status_code == 401
    again = Person.logged_in(platform, owner.email, new)
    assert again.get(ME)["is_verified"] is True
    mail_to(platform, owner.email, CHANGED)
    assert "token" in bad_fields(
        post(platform, "/api/auth/password/reset/confirm/", {"token": token, "new_password": PASSWORD}))


def test_asking_for_an_unknown_address_says_and_sends_the_same_nothing(platform, owner):
    nobody = f"{unique('nobody')}@example.com"
    known = post(platform, "/api/auth/password/reset/", {"email": owner.email})
    unknown = post(platform, "/api/auth/password/reset/", {"email": nobody})
    assert known.status_code == unknown.status_code == 200 and known.json() == unknown.json()
    mail_to(platform, owner.email, RESET)
    assert all_mails(platform, nobody) == []


def test_a_changed_password_ends_the_other_sessions_only(platform, owner):
    other = Person.logged_in(platform, owner.email, PASSWORD)
    answer = owner.ask("POST", "/api/dashboard/user/change-password/", {
        "current_password": PASSWORD, "new_password": "a wholly other phrase 9"})
    checked(answer, 200)
    eventually(lambda: me(platform, headers=bearer(other.token)).status_code == 401, WITHIN, "the other one is over")
    assert owner.get(ME)["email"] == owner.email
    # A log-in in the very second of a revocation counts.
    assert Person.logged_in(platform, owner.email, "a wholly other phrase 9").get(ME)["id"] == owner.user["id"]


# ---- sessions


def test_one_sees_and_ends_ones_sessions(platform, owner):
    other = Person.logged_in(platform, owner.email, PASSWORD)
    listed = owner.get("/api/auth/sessions/")
    assert listed["count"] == 2 and [each["is_current"] for each in listed["results"]].count(True) == 1
    assert listed["results"][0]["device"] == "python-requests" and listed["results"][0]["address"] == "127.0.0.1"
    elsewhere = next(each["id"] for each in listed["results"] if not each["is_current"])
    assert owner.ask("DELETE", f"/api/auth/sessions/{elsewhere}/").status_code == 204
    eventually(lambda: me(platform, headers=bearer(other.token)).status_code == 401, WITHIN, "it is over")
    assert owner.get("/api/auth/sessions/")["count"] == 1


def test_a_thousand_refreshes_of_one_token_at_once_leave_one_family(platform, owner):
    """Either all who were under way together got the one successor, or the family ended; never are there two."""
    body, answers = {"refresh": owner.refresh_token}, []
    gate = threading.Barrier(50)

    def work():
        with requests.Session() as connection:
            gate.wait()
            for _ in range(20):
                answers.append(connection.post(platform.url + "/api/auth/refresh/", json=body, timeout=60))

    workers = [threading.Thread(target=work) for _ in range(50)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(answers) == 1000
    assert {answer.status_code for answer in answers} <= {200, 401}
    successors = {answer.json()["refresh"] for answer in answers if answer.status_code == 200}
    assert len(successors) == 1
    # Some of the thousand came after others had their answer: a token that was spent came back.
    assert post(platform, "/api/auth/refresh/", {"refresh": successors.pop()}).status_code == 401
    eventually(lambda: me(platform, headers=bearer(owner.token)).status_code == 401, WITHIN, "the session is over")


def test_two_refreshes_sent_together_do_not_log_anyone_out(platform):
    """An impatient client's. Tried until two overlap: nothing can make them."""
    for _ in range(60):
        person, answers = Person.registered(platform), []
        body, gate = {"refresh": person.refresh_token}, threading.Barrier(2)

        def work():
            with requests.Session() as connection:
                connection.get(platform.url + "/healthz", timeout=10)
                gate.wait()
                answers.append(connection.post(platform.url + "/api/auth/refresh/", json=body, timeout=30))

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if [answer.status_code for answer in answers] == [200, 200]:
            first, second = (answer.json() for answer in answers)
            assert first["refresh"] == second["refresh"]
            checked(post(platform, "/api/auth/refresh/", {"refresh": first["refresh"]}), 200)
            return
    raise AssertionError("no two of 60 pairs were answered alike")


def test_an_expired_or_foreign_token_does_not_stand_in_the_way_of_logging_in(platform, owner):
    stale = bearer(owner.token[:-4] + "AAAA")
    checked(post(platform, "/api/auth/login/", {"email": owner.email, "password": PASSWORD}, headers=stale), 200)
    checked(post(platform, "/api/auth/refresh/", {"refresh": owner.refresh_token}, headers=stale), 200)
    assert me(platform, headers=stale).status_code == 401


# ---- the second factor


def code(secret: str, step: int) -> str:
    """RFC 6238, written anew: what a telephone would show in that half minute."""
    counter = struct.pack(">Q", step)
    mac = hmac.new(base64.b32decode(secret + "=" * (-len(secret) % 8)), counter, hashlib.sha1).digest()
    at = mac[19] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


@pytest.fixture
def enrolled(owner):
    begun = owner.post("/api/auth/totp/", {"password": PASSWORD}, 201)
    assert begun["otpauth_uri"].startswith("otpauth://totp/") and begun["secret"] in begun["otpauth_uri"]
    step = int(time.time()) // 30
    answer = owner.ask("POST", "/api/auth/totp/confirm/", {"otp": code(begun["secret"], step)})
    # The code of the next half minute counts already.
    return owner, code(begun["secret"], step + 1), checked(answer, 200)["recovery_codes"]


def test_with_a_second_factor_the_password_alone_opens_nothing(platform, enrolled):
    person, now, codes = enrolled
    body = {"email": person.email, "password": PASSWORD}
    asked = post(platform, "/api/auth/login/", body)
    assert asked.status_code == 401 and error_code(asked) == "SECOND_FACTOR_REQUIRED"
    assert asked.json()["details"] == {"second_factor": ["otp", "recovery_code"]}
    checked(post(platform, "/api/auth/login/", body | {"otp": now}), 200)
    assert error_code(post(platform, "/api/auth/login/", body | {"otp": now})) == "SECOND_FACTOR_REQUIRED"
    checked(post(platform, "/api/auth/login/", body | {"recovery_code": codes[0]}), 200)
    assert post(platform, "/api/auth/login/", body | {"recovery_code": codes[0]}).status_code == 401
    # Nor does HTTP Basic go round it.
    assert me(platform, auth=(person.email, PASSWORD)).status_code == 401
    assert person.get("/api/auth/totp/")["recovery_codes_left"] == len(codes) - 1


# ---- keys and Basic


@pytest.fixture
def key(owner) -> dict:
    return owner.post("/api/auth/api-keys/", {"name": "Nightly report", "scopes": ["users:read", "calls:read"]}, 201)


@pytest.mark.parametrize("headers", [
    lambda key: {"Authorization": f"Bearer {key}"}, lambda key: {"X-Api-Key": key}], ids=["bearer", "x-api-key"])
def test_a_key_opens_what_its_scopes_name_in_every_program(platform, owner, key, headers):
    sent = headers(key["key"])
    assert me(platform, headers=sent).json()["id"] == owner.user["id"]
    assert requests.get(platform.url + "/api/v1/calls", headers=sent, timeout=10).status_code == 200
    refused = requests.get(platform.url + "/api/v1/knowledge", headers=sent, timeout=10)
    assert refused.status_code == 403 and "knowledge:read" in refused.text
    written = requests.post(platform.url + "/api/v1/knowledge", headers=sent, timeout=10,
                            json={"title": "a", "content": "b"})
    assert written.status_code == 403


def test_a_revoked_key_stops_within_a_second_also_on_sockets(platform, owner, key):
    sent = bearer(key["key"])
    assert me(platform, headers=sent).status_code == 200
    with websockets.sync.client.connect(
            platform.websocket_url("/ws/calls"), subprotocols=["bearer", key["key"]], open_timeout=10) as socket:
        socket.send('{"event":"subscribe","data":{"type":"all_calls"}}')
        assert "subscribed" in socket.recv(timeout=10)
        assert owner.ask("DELETE", f"/api/auth/api-keys/{key['id']}/").status_code == 204
        eventually(lambda: me(platform, headers=sent).status_code == 401, WITHIN, "the key is refused")
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            socket.recv(timeout=2)
        assert closed.value.rcvd.code == 4401
    for target in (f"/ws/calls?token={key['key']}", "/ws/calls"):
        with pytest.raises(websockets.exceptions.InvalidStatus):
            websockets.sync.client.connect(platform.websocket_url(target), additional_headers=sent, open_timeout=10)


def test_a_key_that_is_none_is_refused(platform):
    for sent in (bearer("sk_nonsense"), {"X-Api-Key": "sk_nonsense"}, {"X-Api-Key": "nonsense"}):
        answer = me(platform, headers=sent)
        assert answer.status_code == 401 and error_code(answer) == "UNAUTHORIZED"


def test_a_key_is_shown_once_and_never_logged(platform, owner, key):
    assert me(platform, headers=bearer(key["key"])).status_code == 200
    assert me(platform, auth=(owner.email, PASSWORD)).status_code == 200
    listed = owner.ask("GET", "/api/auth/api-keys/").text
    assert key["key"] not in listed and key["prefix"] in listed
    eventually(lambda: owner.get(f"/api/auth/api-keys/{key['id']}/")["last_used_at"], 5, "its use is noted")
    basic = base64.b64encode(f"{owner.email}:{PASSWORD}".encode()).decode()
    for log in (platform.directory / "log").glob("*.log"):
        text = log.read_text(errors="replace")
        for secret in (key["key"], key["name"], PASSWORD, basic, owner.token, owner.refresh_token):
            assert secret not in text, log


def test_basic_is_exchanged_and_ends_with_its_session(platform, owner):
    assert me(platform, auth=(owner.email, PASSWORD)).json()["id"] == owner.user["id"]
    assert requests.get(platform.url + "/api/v1/calls", auth=(owner.email, PASSWORD), timeout=30).status_code == 200
    assert me(platform, auth=(owner.email, "not this one")).status_code == 401
    assert me(platform, headers={"Authorization": "Basic %%%"}).status_code == 401
    basic = [each for each in owner.get("/api/auth/sessions/")["results"] if each["kind"] == "basic"]
    assert len(basic) == 1
    new = "a wholly other phrase 9"
    owner.post("/api/dashboard/user/change-password/", {"current_password": PASSWORD, "new_password": new}, 200)
    eventually(lambda: me(platform, auth=(owner.email, PASSWORD)).status_code == 401, WITHIN, "the old password is out")
    assert me(platform, auth=(owner.email, new)).status_code == 200


# ---- forgeries, through the gateway (the whole table is in Tests/SharedTests/TokenTests.swift)


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


UNSIGNED = part(b'{"alg":"none","typ":"JWT"}')


@pytest.mark.parametrize("forge", [
    lambda head, payload, signature: f"{UNSIGNED}.{payload}.",
    lambda head, payload, signature: f"{head}.{payload}.{signature}=",
    lambda head, payload, signature: f"{head}.{payload}.{signature[:-2]}",
    lambda head, payload, signature: f"{head}.{payload}.{signature}.{signature}",
    lambda head, payload, signature: f"{head}.{payload}.{part(bytes(64))}",
    lambda head, payload, signature: f"{head}.{payload}. {signature}",
    lambda head, payload, signature: f"{head}.{payload}." + "A" * 9000,
], ids=["none", "padded", "cut", "four", "zeros", "space", "huge"])
def test_a_forged_token_opens_nothing(platform, owner, forge):
    answer = me(platform, headers=bearer(forge(*owner.token.split("."))))
    assert answer.status_code in (401, 431), answer.text
