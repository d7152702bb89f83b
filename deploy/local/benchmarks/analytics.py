"""Figures and exports with a million calls behind them (CALLS=10000000 for ten): what somebody at the gateway waits for.

The generated calls go into analytics' own database, the largest workspace being that of the platform's user.
"""

import base64
import json
import os
import time
import urllib.request

from board import people
from board.api import API
from board.instance import Instance, Refused, database_name
from board.postgres import Postgres

from . import calls
from .processes import resident_bytes
from .table import Row, quantile, spread

CALLS = int(os.environ.get("CALLS", "1000000"))
ROUNDS = 200
FIGURES = ("overview", "call-volume", "qa", "sentiment", "escalations")


def measure(instance: Instance) -> list[Row]:
    credentials = people.credentials(instance)
    user = API(instance.url).signed_in(credentials["user"])
    admin = API(instance.url).signed_in(credentials["admin"])
    workspace = workspace_of(user)
    Postgres(instance).psql(f"\\connect {database_name('qa-analytics')}\n" + calls.sql(CALLS, workspace))
    rows = []
    for name in FIGURES:
        rows.append(Row(f"{name}, 7 days of {CALLS:,} calls; other: all workspaces", asked(user, name),
                        asked(admin, name), goal="p99 ≤ 10 ms" if name == "overview" else ""))
    rows.append(Row("  overview of New York's days; other: Kolkata's", asked(user, "overview", "America/New_York"),
                    asked(user, "overview", "Asia/Kolkata"), goal="p99 ≤ 10 ms"))
    return [*rows, *export(instance, admin)]


def workspace_of(api: API) -> str:
    payload = api.token.split(".")[1]
    return next(iter(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["ws"]))


def asked(api: API, name: str, zone: str = "UTC") -> str:
    day = 86_400
    query = {"timezone": zone}
    if name == "call-volume":
        query |= {"from_date": date(time.time() - 6 * day), "to_date": date(time.time())}
    took = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        api.get(f"/api/v1/analytics/{name}", **query)
        took.append((time.monotonic() - began) * 1000)
    # The first ones plan their statements.
    return spread(took[10:])


def date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def export(instance: Instance, api: API) -> list[Row]:
    """Every call there is as CSV, and what the program's memory does meanwhile."""
    process = int((instance.run / "qa-analytics.pid").read_text())
    request = urllib.request.Request(f"{instance.url}/api/v1/analytics/export", method="POST", data=(
        '{"format":"csv","report_type":"calls","from_date":"%s","to_date":"%s"}'
        % (date(time.time() - 400 * 86_400), date(time.time()))).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {api.token}")
    before = resident_bytes(process)
    sizes, lines, size = [], 0, 0
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        while data := answer.read(1 << 20):
            # Not of "\r\n", which may come in two pieces; no generated call has a line end in it.
            lines += data.count(b"\n")
            size += len(data)
            sizes.append(resident_bytes(process))
    took = time.monotonic() - began
    if lines < CALLS:
        raise Refused(f"the export has {lines} lines for {CALLS} calls")
    third = len(sizes) // 3
    return [
        Row(f"CSV of {lines:,} calls", f"{lines / took:.0f}/s", f"{size / took / 1e6:.0f} MB/s", goal="≥ 100000/s"),
        Row("  memory gained by its first third; other: at most later",
            f"{(quantile(sizes[:third], 1) - before) / 1e6:.1f} MB", f"{(max(sizes[third:]) - before) / 1e6:.1f} MB",
            goal="flat"),
    ]
