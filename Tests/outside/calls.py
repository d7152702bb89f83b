"""Calls that the simulated carrier's own customers make."""

import json
import threading

import requests

from .people import Person
from .platform import Platform, eventually


class SlowCall:
    """One customer's call, slow enough to be acted on. `id` and `sid` are its names."""

    def __init__(self, platform: Platform, person: Person, number: str):
        self.platform, self.person = platform, person
        known = {call["id"] for call in person.get("/api/v1/calls", limit=100)["calls"]}
        # Half of what people speak: the shortest conversation lasts twenty seconds.
        body = {"to": number, "calls": 1, "at_once": 1, "speed": 0.5}
        threading.Thread(target=play, args=[platform, body], daemon=True).start()

        def new():
            calls = person.get("/api/v1/calls", limit=100, status="in_progress")["calls"]
            return next((call for call in calls if call["id"] not in known), None)
        call = eventually(new, 15, "the customer's call is in progress")
        self.id, self.sid = call["id"], call["twilio_call_sid"]

    def transcript(self) -> list[dict]:
        return self.person.get(f"/api/v1/calls/{self.id}/interactions")["interactions"]

    def at_carrier(self) -> dict:
        """The call as the carrier's REST interface shows it."""
        return at_carrier(self.platform, self.sid)

    def finish(self) -> None:
        """Ends the call. The customer may still be in the middle of a sentence; nobody waits for that."""
        self.person.ask("POST", f"/api/v1/calls/{self.id}/end")


def at_carrier(platform: Platform, sid: str) -> dict:
    account, token = platform.account
    answer = requests.get(f"{platform.simulator}/2010-04-01/Accounts/{account}/Calls/{sid}.json",
                          auth=(account, token), timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def play(platform: Platform, body: dict, seconds: float = 300, each=lambda report: None) -> list[dict]:
    """Has customers call; returns the simulator's report of each call, and gives each away as it comes."""
    return play_at(platform.simulator, body, seconds, each)


def play_at(simulator: str, body: dict, seconds: float = 300, each=lambda report: None) -> list[dict]:
    """The same, through the simulator at this address."""
    reports = []
    with requests.post(simulator + "/simulator/play", json=body, stream=True, timeout=seconds) as answer:
        assert answer.status_code == 200, answer.text
        for line in answer.iter_lines():
            if line:
                reports.append(json.loads(line))
                each(reports[-1])
    return reports
