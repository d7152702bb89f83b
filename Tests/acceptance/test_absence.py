"""A program that starts while its database or the broker is away listens at once, says what it waits for, and telephony
has an apology for the caller. When what was away comes, it goes on by itself."""

import time

import pytest
import requests

from outside.carrier import Carrier
from outside.people import error_code
from outside.platform import PROGRAMS, eventually
from outside.programs import Bridge, Extra, Instance


@pytest.fixture
def begin(platform, tmp_path):
    """Starts a program with other settings, and ends it with the test."""
    begun = []

    def start(name: str, **settings) -> Extra:
        begun.append(Extra(platform, name, tmp_path / f"{name}-{len(begun)}.log", **settings))
        return begun[-1]
    yield start
    for each in begun:
        each.__exit__()


@pytest.fixture
def bridge():
    made = []

    def make(to: int) -> Bridge:
        made.append(Bridge(to))
        return made[-1]
    yield make
    for each in made:
        each.close()


def database_through(platform, name: str, port: int) -> str:
    return Instance(platform.directory).database_url(name).replace(f":{platform.settings['POSTGRES_PORT']}/", f":{port}/")


@pytest.mark.parametrize("name", [*PROGRAMS, "gateway"])
def test_every_program_listens_while_everything_is_away_and_names_it(platform, begin, bridge, name):
    nothing = bridge(1).port
    settings = {"KAFKA_BROKERS": f"127.0.0.1:{nothing}"}
    if name != "gateway":
        settings["DATABASE_URL"] = database_through(platform, name, nothing)
    program = begin(name, **settings).listens()
    assert program.answer("/healthz").status_code == 200
    missing = program.missing()
    if name == "gateway":
        assert missing.keys() == {"tokens", "frames"}
    else:
        assert missing["database"] == "does not answer yet", missing
        assert missing["relay"] == "not started yet", missing
    program.process.terminate()
    assert program.process.wait(10) == 0, "a program that waits can be stopped"


def test_telephony_asks_to_wait_while_its_database_is_away_then_apologises_and_takes_calls_when_it_comes(
        platform, owner, begin, bridge):
    number = owner.number()["phone_number"]
    database = bridge(int(platform.settings["POSTGRES_PORT"]))
    telephony = begin("telephony", DATABASE_URL=database_through(platform, "telephony", database.port)).listens()
    carrier = Carrier(platform, at=telephony.url)
    call = carrier.ring(number)
    began = time.monotonic()
    answer = call.ask_for_instructions()
    assert time.monotonic() - began < 2
    assert answer.status_code == 200 and "One moment" in answer.text and "<Redirect" in answer.text
    answer = carrier.webhook(call.form("ringing"), path="/api/calls/twilio-webhook/?again=3")
    assert answer.status_code == 200 and "We are sorry" in answer.text and "<Connect" not in answer.text
    assert call.ask_for_instructions(signature="AAAA").status_code == 403, "only the carrier is answered"
    refused = call.report("completed", 3, CallDuration="5")
    assert refused.status_code == 503 and refused.headers["Retry-After"], "not stored, so not acknowledged"
    asked = requests.get(
        telephony.url + "/api/v1/calls", headers={"Authorization": f"Bearer {owner.token}"}, timeout=20)
    assert asked.status_code == 503 and error_code(asked)

    eventually(lambda: "refused" in telephony.missing()["database"], 15, "the reason is told")
    database.open()
    telephony.ready()
    assert "<ConversationRelay" in carrier.ring(number).ask_for_instructions().text


def test_telephony_takes_calls_while_the_broker_is_away(platform, owner, begin, bridge):
    number = owner.number()["phone_number"]
    broker = bridge(int(platform.settings["BROKER_PORT"]))
    telephony = begin("telephony", KAFKA_BROKERS=f"127.0.0.1:{broker.port}").listens()
    assert "<ConversationRelay" in Carrier(platform, at=telephony.url).ring(number).ask_for_instructions().text
    missing = telephony.missing()
    assert "database" not in missing and {"relay", "consumer", "tokens"} <= missing.keys(), missing
    # What was revoked is not known, so nobody is let in.
    asked = requests.get(
        telephony.url + "/api/v1/calls", headers={"Authorization": f"Bearer {owner.token}"}, timeout=20)
    assert asked.status_code == 503

    broker.open()
    telephony.ready()
    asked = requests.get(
        telephony.url + "/api/v1/calls", headers={"Authorization": f"Bearer {owner.token}"}, timeout=20)
    assert asked.status_code == 200


def test_a_gateway_that_starts_without_the_broker_lets_the_carrier_through(platform, owner, begin, bridge):
    number = owner.number()["phone_number"]
    gateway = begin("gateway", KAFKA_BROKERS=f"127.0.0.1:{bridge(1).port}").listens()
    assert "<ConversationRelay" in Carrier(platform, at=gateway.url).ring(number).ask_for_instructions().text
    socket = requests.get(gateway.url + "/ws/calls", timeout=20, headers={
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": f"bearer, {owner.token}"})
    assert socket.status_code == 503, "a socket that would miss frames is not opened"
