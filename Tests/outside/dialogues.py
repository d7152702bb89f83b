"""Many customers at once, and what must be true when all of them have hung up."""

import os
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .people import Person
from .platform import ROOT, eventually

OWN = ROOT / "Tests" / "CarrierSimulator" / "conversations.jsonl"


def shared_conversations() -> Path | None:
    """Real dialogues that are not part of the project: SWITCHBOARD_DATA, or `shared/data` beside the checkout."""
    named = os.environ.get("SWITCHBOARD_DATA")
    checkouts = [ROOT]
    # A worktree's data lie beside the checkout it was made from.
    found = subprocess.run(["git", "rev-parse", "--path-format=absolute", "--git-common-dir"], cwd=ROOT,
                           capture_output=True, text=True)
    if found.returncode == 0:
        checkouts.append(Path(found.stdout.strip()).parent)
    folders = [Path(named)] if named else [checkout.parent / "shared" / "data" for checkout in checkouts]
    return next((folder / "conversations.jsonl" for folder in folders if (folder / "conversations.jsonl").exists()), None)


def trimmed(lines) -> list[str]:
    return [line.strip() for line in lines]


@dataclass
class Played:
    """What the carrier reported, and our own books of the same calls."""

    person: Person
    reports: list[dict]
    calls: dict[str, dict] = field(default_factory=dict)  # by the carrier's SID

    def wait_until_settled(self, seconds: float = 30, lost_calls_allowed: bool = False) -> None:
        """Until every call is over and scored, and billing has counted all of them. `lost_calls_allowed`: who was
        told that nobody can answer now, and said nothing, need not be in the books."""
        sids = {report["sid"] for report in self.reports if report["said"] or not lost_calls_allowed}

        def settled():
            self.calls = {call["twilio_call_sid"]: call for call in every_call(self.person)}
            absent = sids - set(self.calls)
            open_ones = [call["id"] for call in self.calls.values() if call["status"] not in ("completed", "failed")]
            unscored = [call["id"] for call in self.calls.values()
                        if call["twilio_call_sid"] in sids and call["status"] == "completed"
                        and call.get("qa_score") is None]
            difference = self.used() - self.spent()
            self.open = (f"{len(absent)} missing {sorted(absent)[:3]}, {len(open_ones)} open {open_ones[:3]}, "
                         f"{len(unscored)} without score {unscored[:3]}, usage off by {difference} s")
            return not (absent or open_ones or unscored or difference)
        try:
            eventually(settled, seconds, "all calls are settled")
        except AssertionError:
            raise AssertionError(f"after {seconds} s: {self.open}") from None

    def used(self) -> int:
        return self.person.get("/api/subscriptions/current/")["usage"]["seconds"]

    def spent(self) -> int:
        return sum(call.get("duration_seconds") or 0 for call in self.calls.values())

    def differences(self, lost_calls_allowed: bool = False) -> list[str]:
        """Where transcripts and records differ from what the customers say they said; nothing when all is well.
        `lost_calls_allowed`: a line that was gone for good may have ended its call early."""
        found = []
        for report in self.reports:
            call = self.calls.get(report["sid"])
            if call is None and lost_calls_allowed and not report["said"]:
                continue
            if call is None:
                found.append(f"{report['sid']} ({report['conversation']}) is not in the list")
                continue
            said = trimmed(report["said"])
            lines = transcript(self.person, call["id"])
            heard = trimmed(line["text"] for line in lines if line["speaker"] == "customer")
            # The last words before a line broke for good may be noted though no answer to them was heard.
            whole = heard == said or (
                report["failure"] is not None and lost_calls_allowed and heard[:-1] == said)
            if not whole:
                found.append(f"{call['id']} ({report['conversation']}): {told_apart(said, heard)}")
            ids = [line["id"] for line in lines]
            if ids != sorted(set(ids)):
                found.append(f"{call['id']}: lines out of order or doubled: {ids}")
            expected = {"completed", "failed"} if lost_calls_allowed and report["failure"] else {"completed"}
            if call["status"] not in expected:
                found.append(f"{call['id']} is {call['status']}, the carrier says {report['status']} {report['failure']}")
            if call["status"] == "completed" and not lost_calls_allowed:
                if call["duration_seconds"] != report["duration_seconds"]:
                    found.append(f"{call['id']} took {call['duration_seconds']} s, the carrier says {report['duration_seconds']}")
        sids = Counter(call["twilio_call_sid"] for call in every_call(self.person))
        found += [f"{sid} is in the list {times} times" for sid, times in sids.items() if times > 1]
        return found


def told_apart(said: list[str], heard: list[str]) -> str:
    place = next((at for at, (left, right) in enumerate(zip(said, heard)) if left != right), min(len(said), len(heard)))
    return f"said {len(said)}, transcript has {len(heard)}; from line {place}: {said[place:place + 2]} / {heard[place:place + 2]}"


def every_call(person: Person) -> list[dict]:
    calls, cursor = [], None
    while True:
        page = person.get("/api/v1/calls", limit=100, **({"cursor": cursor} if cursor else {}))
        calls += page["calls"]
        cursor = page["pagination"]["next_cursor"]
        if not cursor:
            return calls


def transcript(person: Person, call_id: str) -> list[dict]:
    found = person.get(f"/api/v1/calls/{call_id}/interactions", limit=5000)
    assert found["total"] == len(found["interactions"])
    return found["interactions"]
