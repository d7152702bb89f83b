"""A thousand people on the telephone at once, all with the one telephony program there is, at the pace people speak.

What is told: how many spoke at the same time, how many calls were lost, whether every transcript holds what its customer
said in the order it was said, how long a customer waits for the first token, and what a call costs in memory.
"""

import json
import os
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

from board import people
from board.api import API
from board.instance import ROOT, Instance, Refused

from .table import Row, quantile, spread

CALLS = int(os.environ.get("CROWD_CALLS", "1000"))
# 1 is the pace of people, 15 characters a second.
SPEED = float(os.environ.get("CROWD_SPEED", "1"))
TURNS = 6
SETTLED_SECONDS = 180
PLAYED_SECONDS = 900
LIVE = "telephony_live_conversations"

QUESTIONS = [
    "When are you open on Saturday?", "What does express shipping cost?", "How long does a refund take?",
    "Can I send an order back after three weeks?", "My kettle has stopped working, is that covered?",
    "How do I get a new password?", "When will my order arrive?", "Do I need an appointment for a repair?",
    "Is there a delivery in the evening?", "From what amount on is shipping free?", "Do I need the original box?",
]


def measure(instance: Instance) -> list[Row]:
    script = instance.directory / "crowd.jsonl"
    said = write(script)
    process = pid(instance)
    quiet = resident(process)
    reports: list[dict] = []
    failure: list[Refused] = []

    def call() -> None:
        try:
            reports.extend(play(instance, script))
        except Refused as refused:
            failure.append(refused)

    crowd = threading.Thread(target=call)
    crowd.start()
    most, full, loads = 0.0, 0, []
    while crowd.is_alive():
        most, full = max(most, metric(instance, LIVE)), max(full, resident(process))
        loads.append(os.getloadavg()[0])
        crowd.join(0.5)
    if failure:
        raise failure[0]
    # Whoever could say nothing was told that nobody can answer now.
    lost = [report for report in reports
            if report["failure"] or report["status"] != "completed" or not report["said"]]
    api = API(instance.url).signed_in(people.credentials(instance)["user"])
    calls = settled(api, {report["sid"] for report in reports if report["said"]})
    whole, first, asked = 0, [], []
    for report in reports:
        lines = api.get(f"/api/v1/calls/{calls[report['sid']]['id']}/interactions", limit="100")["interactions"] \
            if report["sid"] in calls else []
        heard = [line["text"] for line in lines if line["speaker"] == "customer"]
        ids = [line["id"] for line in lines]
        whole += heard == said[report["conversation"]] and ids == sorted(set(ids))
        for line in lines:
            latency = line["metadata"].get("latency_ms", {})
            first += [latency["first_token"]] if "first_token" in latency else []
            asked += [latency["assistant_asked"]] if "assistant_asked" in latency else []
    scored = sum(call.get("qa_score") is not None for call in calls.values())
    load = f"load {min(loads):.0f} to {max(loads):.0f}"
    return [
        Row(f"calls at once on one telephony ({load})", f"{most:.0f}", goal=f"{CALLS}"),
        Row("  lost", f"{CALLS - len(reports) + len(lost)}", goal="0"),
        Row("  transcripts whole and in order", f"{whole}", goal=f"{CALLS}"),
        Row("  scored", f"{scored}", goal=f"{CALLS}"),
        Row(f"  prompt → first token, {len(first)} turns", spread(first)),
        Row("  prompt → assistant asked", spread(asked)),
        Row("  slowest of a thousand turns", f"{quantile(first, 0.999):.0f} ms"),
        Row("  memory, each call", f"{(full - quiet) / max(1, most):.0f} KiB", f"{quiet // 1024} MiB before"),
    ]


def write(file: Path) -> dict[str, list[str]]:
    """Conversations that last, each beginning with another question; what each of them says."""
    said = {}
    with file.open("w", encoding="utf-8") as out:
        for number in range(len(QUESTIONS)):
            words = [QUESTIONS[(number + step) % len(QUESTIONS)] for step in range(TURNS)]
            said[f"crowd-{number}"] = words
            out.write(json.dumps({"id": f"crowd-{number}", "turns": [
                {"speaker": "customer", "text": each} for each in words]}) + "\n")
    return said


def play(instance: Instance, script: Path) -> list[dict]:
    command = [instance.binaries / "carrier-simulator", "play", "--to", instance.settings["TWILIO_PHONE_NUMBER"],
               "--calls", CALLS, "--at-once", CALLS, "--speed", SPEED, "--conversations", script]
    done = subprocess.run([str(each) for each in command], env=instance.environment("carrier-simulator"), cwd=ROOT,
                          capture_output=True, text=True, timeout=PLAYED_SECONDS)
    if done.returncode != 0:
        raise Refused(f"the carrier simulator ended with exit status {done.returncode}:\n{done.stderr[-600:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{\"sid\"")]


def settled(api: API, sids: set[str]) -> dict[str, dict]:
    """The calls by the carrier's names, once all of them are over and scored, or time is up."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        calls, cursor = {}, None
        while len(calls) < len(sids):
            page = api.get("/api/v1/calls", limit="100", **({"cursor": cursor} if cursor else {}))
            calls |= {call["twilio_call_sid"]: call for call in page["calls"] if call["twilio_call_sid"] in sids}
            cursor = page["pagination"].get("next_cursor")
            if not cursor:
                break
        open_ones = [call for call in calls.values() if call["status"] != "completed" or call.get("qa_score") is None]
        if (len(calls) == len(sids) and not open_ones) or time.monotonic() > deadline:
            return calls
        time.sleep(1)


def metric(instance: Instance, name: str) -> float:
    url = f"http://127.0.0.1:{instance.port_of('telephony')}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        line = next(line for line in answer.read().decode().splitlines() if line.startswith(name + " "))
    return float(line.split()[-1])


def pid(instance: Instance) -> int:
    """The telephony program of this instance, among whatever else runs here."""
    port = str(instance.port_of("telephony"))
    for folder in Path("/proc").iterdir():
        try:
            if (folder / "cmdline").read_bytes().split(b"\0")[0].endswith(b"/telephony") and \
                    f"PORT={port}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
        except (OSError, ValueError):
            continue
    raise Refused("telephony is not running")


def resident(process: int) -> int:
    """KiB of memory that is really there."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS:")).split()[1])
