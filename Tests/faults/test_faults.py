"""The same dialogues while programs and the broker are killed with -9 and come back. `make test-faults`, SEED=…"""

import os
import random
import threading

import pytest

from outside.calls import play
from outside.dialogues import OWN, Played, shared_conversations
from outside.people import Person
from outside.platform import eventually

SEED = int(os.environ.get("SEED", "1"))
CALLS, AT_ONCE = 300, 50
# For each program by itself; VICTIM_CALLS=300 VICTIM_AT_ONCE=50 makes it the long run.
VICTIM_CALLS, VICTIM_AT_ONCE = int(os.environ.get("VICTIM_CALLS", "60")), int(os.environ.get("VICTIM_AT_ONCE", "20"))
# Whoever holds a relay's lock is among them: each program relays its own outbox.
EACH = [["telephony"], ["qa-analytics"], ["realtime"], ["billing"], ["knowledge"], ["broker"], ["gateway"]]


def kill(platform, program: str) -> None:
    platform.tell("kill", program)


def is_whole(platform) -> bool:
    try:
        platform.tell("status")
        return True
    except AssertionError:
        return False


def play_while_killing(platform, owner, victims: list[str], calls: int, at_once: int) -> Played:
    """Plays; kills one program after so many finished calls, and the next when all is up again."""
    conversations = shared_conversations() or OWN
    number, finished, over = owner.number()["phone_number"], [], threading.Event()
    failure: list[Exception] = []
    marks = [calls * (at + 1) // (len(victims) + 2) for at in range(len(victims))]

    def killer() -> None:
        try:
            for mark, victim in zip(marks, victims):
                eventually(lambda: len(finished) >= mark or over.is_set(), 240, f"{mark} calls are over")
                print(f"{len(finished)} calls are over: kill -9 {victim}", flush=True)
                kill(platform, victim)
                eventually(lambda: is_whole(platform), 60, f"{victim} is back")
        except Exception as error:  # told after the calls, which go on
            failure.append(error)

    thread = threading.Thread(target=killer, daemon=True)
    thread.start()
    reports = play(platform, {"to": number, "calls": calls, "at_once": at_once, "speed": 8,
                              "conversations": str(conversations)}, 600, finished.append)
    over.set()
    thread.join(240)
    assert not failure, failure
    return Played(owner, reports)


def check(platform, played: Played, calls: int) -> None:
    assert len(played.reports) == calls
    eventually(lambda: is_whole(platform), 60, "everything is up")
    played.wait_until_settled(180, lost_calls_allowed=True)
    assert played.differences(lost_calls_allowed=True) == []
    assert played.used() == played.spent()
    lost = [report for report in played.reports if report["failure"] or not report["said"]]
    print(f"{len(lost)} of {calls} calls were lost; {sum(report['reconnects'] for report in played.reports)} came back")
    assert len(lost) <= calls // 10, "the carrier comes back to a program that does"


@pytest.mark.parametrize("victims", EACH, ids=lambda victims: victims[0])
def test_a_program_that_is_killed_loses_and_doubles_nothing(platform, victims):
    owner = Person.registered(platform)
    check(platform, play_while_killing(platform, owner, victims, VICTIM_CALLS, VICTIM_AT_ONCE), VICTIM_CALLS)


def test_three_hundred_dialogues_while_everything_is_killed_in_turn(platform):
    victims = ["telephony", "qa-analytics", "realtime", "broker", "postgres", "telephony", "broker"]
    random.Random(SEED).shuffle(victims)
    print(f"SEED={SEED}: {', '.join(victims)}")
    owner = Person.registered(platform)
    check(platform, play_while_killing(platform, owner, victims, CALLS, AT_ONCE), CALLS)
