"""Accounts: document 001's authentication with the contract's rules on sessions."""

import base64
import json

import pytest
import requests

from outside.people import PASSWORD, Person, bad_fields, checked, unique
from outside.platform import eventually

SESSION_ENDS_WITHIN = 1.0  # contract: "cut access within a second"


def post(platform, path, body, **how):
    return requests.post(platform.url + path, json=body, timeout=20, **how)


def is_refused(person, token):
    answer = requests.get(person.platform.url + "/api/users/users/me/", timeout=10,
                          headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 401


def test_registering_logs_in_and_makes_a_workspace(platform):
    email = f"{unique('New')}@Example.COM"
    answer = post(platform, "/api/auth/register/", {"email": email, "password": PASSWORD, "first_name": "Nia"})
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["token_type"] == "Bearer" and 0 < body["expires_in"] <= 900
    assert body["user"]["role"] == "user" and not body["user"]["is_superuser"]
    person = Person(platform, body)
    assert list(person.claims["ws"].values()) == ["owner"]
    assert person.claims["sub"] == body["user"]["id"]
    assert "password" not in answer.text


def test_the_same_address_in_other_letters_is_the_same_person(platform, owner):
    again = post(platform, "/api/auth/register/", {"email": owner.email.upper(), "password": PASSWORD})
    assert again.status_code in (400, 409), again.text
    assert Person.logged_in(platform, owner.email.upper(), PASSWORD).user["id"] == owner.user["id"]


@pytest.mark.parametrize("body, field", [
    ({"password": PASSWORD}, "email"),
    ({"email": "no address", "password": PASSWORD}, "email"),
    ({"email": "a@example.com"}, "password"),
    ({"email": "a@example.com", "password": "short"}, "password"),
    ({"email": "a@example.com", "password": PASSWORD, "phone": "twelve"}, "phone"),
    ({"email": "a@example.com", "password": PASSWORD, "role": "emperor"}, "role"),
])
def test_a_bad_registration_names_the_field_in_the_classic_format(platform, body, field):
    answer = post(platform, "/api/auth/register/", body)
    assert field in bad_fields(answer)
    problem = answer.json()
    assert problem["status"] == 400 and problem["code"] == "VALIDATION_ERROR"
    assert problem["message"] == problem["detail"] and problem["error"]


def test_all_bad_fields_are_named_at_once(platform):
    answer = post(platform, "/api/auth/register/", {"email": 7, "phone": "x", "role": 3})
    assert {"email", "password", "phone", "role"} <= bad_fields(answer)


def test_nobody_registers_as_an_admin(platform):
    body = {"email": f"{unique('boss')}@example.com", "password": PASSWORD, "role": "admin"}
    assert post(platform, "/api/auth/register/", body).status_code == 403


def test_an_unknown_person_and_a_wrong_password_get_the_same_answer(platform, owner):
    wrong = post(platform, "/api/auth/login/", {"email": owner.email, "password": "not this one"})
    unknown = post(platform, "/api/auth/login/", {"email": "nobody@example.com", "password": "not this one"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()


def test_a_log_in_without_fields_names_them(platform):
    assert {"password"} <= bad_fields(post(platform, "/api/auth/login/", {"email": "a@example.com"}))


def test_malformed_json_is_refused_with_its_position(platform):
    answer = requests.post(platform.url + "/api/auth/login/", data='{"email": }', timeout=10,
                           headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "1" in answer.json()["detail"], answer.text


def test_another_content_type_is_refused(platform):
    answer = requests.post(platform.url + "/api/auth/login/", data="email=a", timeout=10,
                           headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_me_is_who_the_token_says(owner):
    me = owner.get("/api/users/users/me/")
    assert me["id"] == owner.user["id"] and me["email"] == owner.email
    assert not [name for name in me if "password" in name or "hash" in name]


def test_a_refresh_gives_new_tokens_and_spends_the_old_one(platform, owner):
    first = owner.refresh_token
    renewed = checked(post(platform, "/api/auth/refresh/", {"refresh": first}), 200)
    assert renewed["refresh"] != first and renewed["access"] != owner.token
    owner.take(renewed)
    assert owner.get("/api/users/users/me/")["id"] == owner.user["id"]


def test_a_refresh_token_used_twice_ends_the_whole_session_within_a_second(platform, owner):
    first, old_access = owner.refresh_token, owner.token
    renewed = checked(post(platform, "/api/auth/refresh/", {"refresh": first}), 200)
    assert not is_refused(owner, old_access)
    assert post(platform, "/api/auth/refresh/", {"refresh": first}).status_code == 401
    for token in (old_access, renewed["access"]):
        eventually(lambda: is_refused(owner, token), SESSION_ENDS_WITHIN, "the session's access tokens are refused")
    assert post(platform, "/api/auth/refresh/", {"refresh": renewed["refresh"]}).status_code == 401


def test_another_session_of_the_same_person_lives_on(platform, owner):
    other = Person.logged_in(platform, owner.email, PASSWORD)
    assert owner.ask("POST", "/api/auth/logout/").status_code == 204
    eventually(lambda: is_refused(owner, owner.token), SESSION_ENDS_WITHIN, "the session that logged out is refused")
    assert not is_refused(other, other.token)


def test_logging_out_ends_access_and_refresh_within_a_second(platform, owner):
    assert owner.ask("POST", "/api/auth/logout/", {"refresh": owner.refresh_token}).status_code == 204
    eventually(lambda: is_refused(owner, owner.token), SESSION_ENDS_WITHIN, "the access token is refused")
    assert post(platform, "/api/auth/refresh/", {"refresh": owner.refresh_token}).status_code == 401


def test_nobody_logs_another_out(platform, owner, stranger):
    stranger.ask("POST", "/api/auth/logout/", {"refresh": owner.refresh_token})
    assert post(platform, "/api/auth/refresh/", {"refresh": owner.refresh_token}).status_code == 200


def test_the_published_keys_are_public_ones_and_name_the_tokens_key(platform, owner):
    keys = requests.get(platform.url + "/.well-known/jwks.json", timeout=10).json()["keys"]
    head = owner.token.split(".")[0]
    header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    assert header["alg"] == "EdDSA" and header["kid"] in [key["kid"] for key in keys]
    for key in keys:
        assert key["kty"] == "OKP" and key["crv"] == "Ed25519" and "d" not in key


@pytest.mark.parametrize("damage", ["nothing at all", "a.b.c", "", "none"])
def test_a_token_that_is_none_is_refused(platform, owner, damage):
    head, payload, signature = owner.token.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    token = f"{unsigned}.{payload}." if damage == "none" else damage
    answer = requests.get(platform.url + "/api/users/users/me/", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    assert answer.status_code == 401, answer.text


def test_a_refresh_token_is_no_access_token(platform, owner):
    assert is_refused(owner, owner.refresh_token)


def test_a_changed_token_is_refused(owner):
    head, payload, signature = owner.token.split(".")
    claims = owner.claims | {"role": "admin", "staff": True}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert is_refused(owner, f"{head}.{forged}.{signature}")
