"""`make run`: the carrier simulator plays calls, and what a manager's browser would see is printed line by line.

The lines come from the gateway's own WebSocket (`/ws/calls`), so they show the whole way: carrier, telephony, broker,
qa-analytics, realtime, gateway.
"""

import base64
import json
import os
import socket
import subprocess
import threading
import time

from .api import API, APIError
from .instance import ROOT, Instance
from .people import credentials
from .supervisor import tail

RECONNECT_SECONDS = 1.0


def play_and_show(instance: Instance, options) -> None:
    """Returns when the simulator has played what it was asked for; without a number of calls, never."""
    showing = threading.Thread(target=show, args=(instance,), daemon=True)
    showing.start()
    log_file = instance.log / "calls.log"
    with log_file.open("ab") as log:
        player = subprocess.Popen(play_command(instance, options), env=instance.environment("carrier-simulator"),
                                  cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    print("calls are being played; Ctrl-C stops\n", flush=True)
    try:
        code = player.wait()
        if code != 0:
            print(f"the carrier simulator ended with exit status {code}:\n{tail(log_file, 12)}")
        time.sleep(2)  # the last scores are still on their way
    finally:
        player.terminate()
        player.wait()


def play_command(instance: Instance, options) -> list[str]:
    command = [str(instance.binaries / "carrier-simulator"), "play", "--to", instance.settings["TWILIO_PHONE_NUMBER"],
               "--at-once", str(options.at_once)]
    if options.calls:
        command += ["--calls", str(options.calls)]
    if options.conversations:
        command += ["--conversations", str(options.conversations.resolve())]
    return command


def show(instance: Instance) -> None:
    person = credentials(instance)["user"]
    numbers: dict[str, int] = {}
    status: dict[int, str] = {}
    while True:
        try:
            token = API(instance.url).signed_in(person).token
            for frame in frames(instance, token):
                number, text = describe(frame, numbers)
                if frame.get("event") == "call.updated":  # for many reasons, few of which show in one word
                    if text == status.get(number, "in_progress") or text == "completed":
                        continue
                    status[number] = text
                if text:
                    print(f"{time.strftime('%H:%M:%S')}  call {number:<4} {text}", flush=True)
        except (OSError, EOFError, ValueError, APIError):
            pass  # a program was restarted, or the token's time was up: come back
        time.sleep(RECONNECT_SECONDS)


def describe(frame: dict, numbers: dict[str, int]) -> tuple[int, str | None]:
    """The call's number and what happened, in words; calls are numbered as they appear because nobody reads 36 characters."""
    event, data = frame.get("event", ""), frame.get("data") or {}
    call = data.get("call_id") or (data.get("call") or {}).get("id")
    if call is None:
        return 0, None
    text = {
        "call.started": lambda: f"{data['call']['direction']} call from {data['call']['from_number']}",
        "call.updated": lambda: data["call"]["status"],
        "interaction.added": lambda: f"{data['interaction']['speaker']:<8} {data['interaction']['text']}",
        "sentiment.changed": lambda: f"sentiment {data['sentiment']['label']} {data['sentiment']['score']:+.2f}",
        "qa.score.updated": lambda: f"QA score {data['qa_score']['overall_score']:.2f}",
        "escalation.triggered": lambda: f"escalation: {data['escalation'].get('trigger_type', '')}",
        "escalation.completed": lambda: "escalation completed",
        "call.ended": lambda: "ended",
    }.get(event)
    number = numbers.setdefault(call, len(numbers) + 1)
    try:
        return number, text() if text else None
    except (KeyError, TypeError, ValueError):
        return number, event


# ---- RFC 6455, the client's half of what is needed here


def frames(instance: Instance, token: str):
    """Subscribes to every call and yields frames until the socket closes."""
    with socket.create_connection(("127.0.0.1", instance.port("GATEWAY_PORT")), timeout=90) as line:
        reader = line.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        line.sendall((f"GET /ws/calls HTTP/1.1\r\nHost: 127.0.0.1:{instance.port('GATEWAY_PORT')}\r\n"
                      f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: bearer, {token}\r\n\r\n").encode())
        if b" 101 " not in reader.readline():
            raise ValueError("the gateway refused the socket")
        while reader.readline().strip():
            pass
        send(line, 1, json.dumps({"event": "subscribe", "data": {"type": "all_calls"}}).encode())
        while True:
            kind, payload = receive(reader)
            if kind == 1:
                yield json.loads(payload)
            elif kind == 9:
                send(line, 10, payload)
            elif kind == 8:
                return


def send(line: socket.socket, kind: int, payload: bytes) -> None:
    mask = os.urandom(4)
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    line.sendall(bytes([0x80 | kind]) + length + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))


def receive(reader) -> tuple[int, bytes]:
    kind, payload, final = 0, b"", False
    while not final:
        head = exactly(reader, 2)
        final, code, length = head[0] & 0x80, head[0] & 0x0F, head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(exactly(reader, 2 if length == 126 else 8), "big")
        payload += exactly(reader, length)
        kind = code or kind
    return kind, payload


def exactly(reader, count: int) -> bytes:
    data = reader.read(count)
    if len(data) < count:
        raise EOFError
    return data
