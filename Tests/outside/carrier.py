"""The carrier, played with Twilio's own library: signed webhooks, TwiML, and a ConversationRelay socket."""

import json
import secrets
import xml.etree.ElementTree as XML
from contextlib import ExitStack

import requests
from twilio.request_validator import RequestValidator
from websockets.sync.client import connect

from .platform import Platform

WEBHOOK = "/api/calls/twilio-webhook/"


class Carrier:
    def __init__(self, platform: Platform, at: str | None = None):
        """`at`: whom it really asks, if not the platform's gateway. What it signs is the public address all the same."""
        self.platform = platform
        self.at = at or platform.url
        self.account, token = platform.account
        self.validator = RequestValidator(token)

    def signature(self, url: str, form: dict | None = None) -> str:
        return self.validator.compute_signature(url, form or {})

    def webhook(self, form: dict, path: str = WEBHOOK, signature: str | None = "right") -> requests.Response:
        """Posts a webhook. `signature`: "right", None for none at all, or any other text as it is."""
        url = self.platform.url + path
        headers = {"I-Twilio-Idempotency-Token": secrets.token_hex(16)}
        if signature is not None:
            headers["X-Twilio-Signature"] = self.signature(url, form) if signature == "right" else signature
        return requests.post(self.at + path, data=form, headers=headers, timeout=20)

    def ring(self, number: str) -> "Call":
        return Call(self, number)


class Call:
    """An inbound call by a customer."""

    def __init__(self, carrier: Carrier, number: str, caller: str = "+14155557301"):
        self.carrier, self.number, self.caller = carrier, number, caller
        self.sid = "CA" + secrets.token_hex(16)
        self.opened = ExitStack()

    def form(self, status: str, **more) -> dict:
        return {"CallSid": self.sid, "AccountSid": self.carrier.account, "From": self.caller, "To": self.number,
                "CallStatus": status, "Direction": "inbound", "ApiVersion": "2010-04-01"} | more

    def ask_for_instructions(self, **how) -> requests.Response:
        return self.carrier.webhook(self.form("ringing"), **how)

    def report(self, status: str, number: int, **more) -> requests.Response:
        """A status callback."""
        return self.carrier.webhook(self.form(
            status, CallbackSource="call-progress-events", SequenceNumber=str(number), **more))

    def answer(self) -> "Call":
        """Until the greeting was heard."""
        answer = self.ask_for_instructions()
        assert answer.status_code == 200, answer.text
        relay = XML.fromstring(answer.text).find("./Connect/ConversationRelay")
        assert relay is not None, answer.text
        self.url = relay.get("url")
        self.connect()
        self.greeting = self.listen()
        return self

    def connect(self) -> None:
        at = self.url.replace(self.carrier.platform.websocket_url(""), self.carrier.at.replace("http", "ws", 1))
        self.socket = self.opened.enter_context(connect(
            at, additional_headers={"X-Twilio-Signature": self.carrier.signature(self.url)}, open_timeout=10))
        self.send({"type": "setup", "sessionId": "VX" + self.sid[2:], "accountSid": self.carrier.account,
                   "callSid": self.sid, "from": self.caller, "to": self.number, "direction": "inbound",
                   "callType": "PSTN", "callStatus": "IN-PROGRESS", "customParameters": {}})

    def send(self, message: dict) -> None:
        self.socket.send(json.dumps(message))

    def say(self, words: str, seconds: float = 15) -> str:
        """Speaks and returns what was answered. TimeoutError when nothing is."""
        self.send({"type": "prompt", "voicePrompt": words, "lang": "en-US", "last": True})
        return self.listen(seconds)

    def next(self, seconds: float = 15) -> dict:
        """The next message of ours."""
        return json.loads(self.socket.recv(timeout=seconds))

    def listen(self, seconds: float = 15) -> str:
        heard = ""
        while True:
            message = self.next(seconds)
            # A silence only cuts what was being said.
            if message["type"] == "text" and message["token"] != "…":
                heard += message["token"]
                if message.get("last"):
                    return heard
            elif message["type"] == "end":
                return heard

    def break_off(self) -> None:
        """The socket goes; the call does not."""
        self.opened.close()

    def hang_up(self, seconds: int = 12) -> requests.Response:
        self.break_off()
        return self.report("completed", 3, CallDuration=str(seconds))
