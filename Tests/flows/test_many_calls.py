"""A crowd on one telephony program: as many people on the telephone at once, and not a word lost."""

import threading

import requests

from outside.calls import play
from outside.dialogues import OWN, Played
from outside.platform import eventually

# On a debug build on two cores. A thousand are played by `make bench` (crowd), on a release build.
CALLS = 100
# Slow enough that the first is still speaking when the last one calls: the simulator lets one ring every 20 ms.
SPEED = 2
LIVE = "telephony_live_conversations"


def metric(platform, name: str) -> float:
    page = requests.get(platform.internal_url("telephony") + "/metrics", timeout=10).text
    return float(next(line for line in page.splitlines() if line.startswith(name + " ")).split()[-1])


def test_a_hundred_people_speak_at_once_and_no_word_is_lost(platform, owner):
    logs = platform.logs()
    reports: list[dict] = []
    number = owner.number()["phone_number"]
    before = metric(platform, LIVE)
    crowd = threading.Thread(target=lambda: reports.extend(play(platform, {
        "to": number, "calls": CALLS, "at_once": CALLS, "speed": SPEED, "conversations": str(OWN)})))
    crowd.start()
    try:
        most = 0.0

        def all_speak():
            nonlocal most
            most = max(most, metric(platform, LIVE) - before)
            return most >= CALLS * 0.9 or not crowd.is_alive()
        eventually(all_speak, 30, "nine tenths of them speak at once")
    finally:
        crowd.join(120)
    assert most >= CALLS * 0.9, f"at most {most:.0f} spoke at the same time"
    assert [report["failure"] for report in reports] == [None] * CALLS
    played = Played(owner, reports)
    played.wait_until_settled(60)
    assert played.differences() == []
    assert logs.errors() == []
