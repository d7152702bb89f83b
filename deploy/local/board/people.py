"""The three people of a fresh platform: an administrator, an account owner and a human agent."""

import json
import os
import secrets
import subprocess

from .api import API, APIError
from .instance import ROOT, Instance, Refused

ADMIN = "admin@example.com"
REGISTERED = {
    "user": {"email": "user@example.com", "first_name": "Uma", "last_name": "Owner"},
    "agent": {"email": "agent@example.com", "first_name": "Ari", "last_name": "Agent"},
}


def credentials(instance: Instance) -> dict:
    """Reads them, or invents them. Written before the accounts exist, so a crash in between is mended by the next run."""
    file = instance.credentials_file
    if file.exists():
        return json.loads(file.read_text())
    emails = {"admin": ADMIN} | {role: person["email"] for role, person in REGISTERED.items()}
    made = {role: {"email": email, "password": secrets.token_urlsafe(15)} for role, email in emails.items()}
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as out:
        json.dump(made, out, indent=2)
        out.write("\n")
    return made


def create(instance: Instance) -> dict:
    """Makes sure that all three can log in. Returns their credentials."""
    people = credentials(instance)
    api = API(instance.url)
    for role, person in people.items():
        if not can_log_in(api, person):
            create_superuser(instance, person) if role == "admin" else register(api, role, person)
    return people


def can_log_in(api: API, person: dict) -> bool:
    try:
        api.signed_in(person)
        return True
    except APIError as error:
        if error.status not in (400, 401, 404):
            raise
        return False


def create_superuser(instance: Instance, person: dict) -> None:
    command = [str(instance.binaries / "auth"), "create-superuser", "--email", person["email"]]
    environment = instance.environment("auth") | {"AUTH_NEW_PASSWORD": person["password"]}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Refused(f"auth create-superuser failed (exit status {done.returncode}):\n{done.stdout}{done.stderr}")


def register(api: API, role: str, person: dict) -> None:
    names = {name: value for name, value in REGISTERED[role].items() if name != "email"}
    try:
        api.post("/api/auth/register/", person | names | {"role": role})
    except APIError as error:
        raise Refused(f"{person['email']} can neither log in nor register; if the account exists with another "
                      f"password, correct credentials.json: {error}") from None
