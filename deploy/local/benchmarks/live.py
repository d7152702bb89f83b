"""The way of an event through the whole platform, and of a customer's words to the first token of the answer."""

import subprocess
import threading
import time
from datetime import datetime

from board import people
from board.api import API
from board.instance import ROOT, Instance, Refused
from board.live import frames

from .table import Row, spread
from .yardstick import Echo

CALLS, AT_ONCE, SPEED = 48, 8, 10
NOTES = 300
DEADLINE = 60


class Watch:
    """Every frame of `/ws/calls`, each with the time it arrived, received by a thread of its own."""

    def __init__(self, instance: Instance, token: str):
        self.frames: list[tuple[float, dict]] = []
        self.news = threading.Condition()
        threading.Thread(target=self._receive, args=(instance, token), daemon=True).start()
        self.wait(lambda frame: frame.get("event") == "subscribed")

    def _receive(self, instance: Instance, token: str) -> None:
        for frame in frames(instance, token):
            now = time.time()
            with self.news:
                self.frames.append((now, frame))
                self.news.notify_all()

    def wait(self, wanted, count: int = 1, seconds: float = DEADLINE) -> list[tuple[float, dict]]:
        def found() -> list[tuple[float, dict]]:
            return [each for each in self.frames if wanted(each[1])]

        with self.news:
            if not self.news.wait_for(lambda: len(found()) >= count, seconds):
                raise Refused(f"{len(found())} of {count} awaited frames came in {seconds} s")
            return found()


def measure(instance: Instance) -> list[Row]:
    api = API(instance.url).signed_in(people.credentials(instance)["user"])
    watch = Watch(instance, api.token)
    with Echo() as echo:
        play(instance)
        watch.wait(lambda frame: frame.get("event") == "call.ended", CALLS)
    return [*first_tokens(api, echo), *notes(api, watch)]


def play(instance: Instance) -> None:
    command = [instance.binaries / "carrier-simulator", "play", "--to", instance.settings["TWILIO_PHONE_NUMBER"],
               "--calls", CALLS, "--at-once", AT_ONCE, "--speed", SPEED]
    done = subprocess.run([str(each) for each in command], env=instance.environment("carrier-simulator"), cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise Refused(f"the carrier simulator ended with exit status {done.returncode}:\n{done.stderr[-600:]}")


def first_tokens(api: API, echo: Echo) -> list[Row]:
    """As telephony wrote them down with each answer: from the prompt's arrival. The offline responder's own time and the
    knowledge search are in it, since nothing else answers here."""
    asked, first = [], []
    for call in api.get("/api/v1/calls", limit="100")["calls"]:
        for interaction in api.get(f"/api/v1/calls/{call['id']}/interactions", limit="100")["interactions"]:
            latency = interaction["metadata"].get("latency_ms", {})
            if "assistant_asked" in latency:
                asked.append(latency["assistant_asked"])
            if "first_token" in latency:
                first.append(latency["first_token"])
    return [
        Row(f"prompt → assistant asked, {AT_ONCE} calls; other: echo", spread(asked), spread(echo.milliseconds),
            goal="p99 ≤ 10 ms"),
        Row("  prompt → first token of the offline responder", spread(first), spread(echo.milliseconds)),
    ]


def notes(api: API, watch: Watch) -> list[Row]:
    """A note's own time is taken just before its transaction, so what follows is never less than commit → frame."""
    call = api.get("/api/v1/calls", limit="1")["calls"][0]["id"]
    sent, answered = {}, {}
    with Echo() as echo:
        for _ in range(NOTES):
            began = time.time()
            note = api.post(f"/api/v1/calls/{call}/notes", {"note": "Measured."})["note_id"]
            sent[note], answered[note] = began, time.time()
    arrived = {frame["data"]["note"]["id"]: (at, frame) for at, frame in watch.wait(
        lambda frame: frame.get("event") == "note.added", NOTES)}
    ages = [(at - seconds(frame["data"]["note"]["created_at"])) * 1000 for at, frame in arrived.values()]
    after = [max(0.0, arrived[note][0] - answered[note]) * 1000 for note in answered]
    requests = [(answered[note] - sent[note]) * 1000 for note in answered]
    return [
        Row("commit → WebSocket frame; other: echo", spread(ages), spread(echo.milliseconds)),
        Row("  the request that committed it", spread(requests), spread(echo.milliseconds)),
        Row("  its answer → the frame", spread(after), spread(echo.milliseconds)),
    ]


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
