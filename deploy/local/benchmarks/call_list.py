"""The list of calls with a million behind it (CALLS=10000000 for ten): each way of asking, over the gateway.

The first figure is what the platform's user waits for, who has six calls of ten; the other one what an admin waits for,
who sees all of them.
"""

import base64
import datetime
import json
import os
import random
import subprocess
import time

from board import people
from board.api import API
from board.instance import Instance, Refused, database_name
from board.postgres import Postgres

from . import calls
from .analytics import workspace_of
from .asking import Asker
from .table import Row, quantile, spread

CALLS = int(os.environ.get("CALLS", "1000000"))
ASKED = 60  # of each kind, with values that differ
GOAL = "p99 ≤ 10 ms"
DEEP = 100_000  # pages


def day(ago: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago * 86_400))


def kinds(dice: random.Random, workspace: str) -> dict:
    """What is asked, by name: each a function of chance."""
    def sorted_by():
        return {"sort_by": dice.choice(["started_at", "duration", "qa_score"]), "sort_order": dice.choice(["asc", "desc"])}

    def status():
        return {"status": dice.choice(["initiated", "ringing", "in_progress", "completed", "failed", "escalated"])}

    def direction():
        return {"direction": dice.choice(["inbound", "outbound"])}

    def mood():
        return {"sentiment": dice.choice(["positive", "neutral", "negative"])}

    def business():
        return {"business_id": f"00000000-0000-7000-a00{dice.choice('123')}-000000000000"}

    def since():
        return {"from_date": day(dice.randrange(1, 170))}

    def days():
        first = dice.randrange(10, 170)
        return {"from_date": day(first), "to_date": day(first - dice.randrange(1, 10))}

    def hours():
        now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=dice.random() * 170)
        return {"from_date": now.isoformat(), "to_date": (now + datetime.timedelta(hours=dice.random() * 100)).isoformat()}

    def customer():
        return f"1415{dice.randrange(1, CALLS) * 7919 % 10_000_000:07d}"

    return {
        "no filter": dict,
        "status": status,
        "direction": direction,
        "business_id": business,
        "sentiment": mood,
        "from_date": since,
        "from_date and to_date, days": days,
        "from_date and to_date, instants": hours,
        "any order": sorted_by,
        "any order: status": lambda: sorted_by() | status(),
        "any order: direction": lambda: sorted_by() | direction(),
        "any order: business_id": lambda: sorted_by() | business(),
        "any order: sentiment": lambda: sorted_by() | mood(),
        "any order: some days": lambda: sorted_by() | days(),
        "status, direction, from_date by qa_score": lambda: status() | direction() | since() | {"sort_by": "qa_score"},
        "sentiment, business_id, some days by duration": lambda: mood() | business() | days() | {"sort_by": "duration"},
        "pages 2 to 50": lambda: {"page": dice.randrange(2, 51)},
        "search: a number": lambda: {"search": customer()},
        "search: its last seven digits": lambda: {"search": customer()[4:]},
        "search: its first seven digits": lambda: {"search": customer()[:7]},
        "search: its first seven digits, business_id": lambda: {"search": customer()[:7]} | business(),
    }


def counted_kinds(dice: random.Random) -> dict:
    """What no rollup knows: counted one by one up to 100,000 on the first page, and not at all after it."""
    def least():
        return {"min_qa_score": round(0.3 + 0.69 * dice.random(), 2)}

    def band():
        low = dice.random() * 0.9
        return {"min_qa_score": round(low, 3), "max_qa_score": round(low + 0.1 * dice.random(), 3)}

    return {
        "min_qa_score": least,
        "max_qa_score": lambda: {"max_qa_score": round(0.3 + 0.69 * dice.random(), 2)},
        "min_qa_score and max_qa_score": band,
        "min_qa_score by qa_score": lambda: least() | {"sort_by": "qa_score"},
        "min_qa_score and sentiment": lambda: least() | {"sentiment": dice.choice(["positive", "negative"])},
        "search: its first five digits": lambda: {"search": f"1415{dice.randrange(10)}"},
    }


def measure(instance: Instance) -> list[Row]:
    user = API(instance.url).signed_in(people.credentials(instance)["user"])
    began = time.monotonic()
    Postgres(instance).psql(f"\\connect {database_name('telephony')}\n" + calls.sql(CALLS, workspace_of(user), "telephony"))
    return ask(instance, time.monotonic() - began)


def ask(instance: Instance, made: float) -> list[Row]:
    """Of the calls that are there; `made`: the seconds it took to make them."""
    credentials = people.credentials(instance)
    signed_in = [API(instance.url).signed_in(credentials[who]) for who in ("user", "admin")]
    user, admin = (Asker(instance, api.token, "/api/v1/calls") for api in signed_in)
    workspace = workspace_of(signed_in[0])
    dice = random.Random(1)
    together, rows = ([], []), []
    asked = kinds(dice, workspace)

    def add(name: str, measured) -> None:
        """What is refused is a figure too: the others are still wanted."""
        try:
            rows.extend(measured())
        except Refused as refused:
            rows.append(Row(f"  {name}", f"refused: {str(refused)[:80]}", goal=GOAL))

    def one(name: str, query) -> list[Row]:
        for asker in (user, admin):
            for _ in range(5):
                asker.ask(query())
        took = [[asker.ask(query())[0] for _ in range(ASKED)] for asker in (user, admin)]
        for all_of_them, some in zip(together, took):
            all_of_them += some
        return [Row(f"  {name}", spread(took[0]), spread(took[1]), goal=GOAL)]

    def counted(name: str, query) -> list[Row]:
        first, after = zip(*(paged(user, query, dice) for _ in range(ASKED)))
        of_all = [paged(admin, query, dice) for _ in range(ASKED)]
        return [Row(f"  {name}, counted", spread(first), spread([each[0] for each in of_all])),
                Row(f"  {name}, by cursor", spread(after), spread([each[1] for each in of_all]), goal=GOAL)]

    for name, query in asked.items():
        add(name, lambda: one(name, query))
    for name, query in counted_kinds(dice).items():
        add(name, lambda: counted(name, query))
    for order in ("started_at", "duration", "qa_score"):
        add(f"page {DEEP:,} by {order}", lambda: [deep_page(instance, user, workspace, order)])
    head = Row(f"list of {CALLS:,} calls (made in {made:.0f} s), all kinds together; other: all workspaces",
               *(spread(took) if took else "" for took in together), goal=GOAL)
    return [head, *rows]


def paged(asker: Asker, query, dice: random.Random) -> tuple[float, float]:
    """The first page with its total, and the second by cursor."""
    asked = query()
    first, answer = asker.ask(asked)
    cursor = answer["pagination"]["next_cursor"]
    return first, asker.ask(asked | ({"cursor": cursor} if cursor else {}))[0]


def deep_page(instance: Instance, asker: Asker, workspace: str, order: str) -> Row:
    """Page 100,000 beside page 2, both by the cursor of the page before, in turns."""
    size = max(1, CALLS // 200_000)
    _, first = asker.ask({"sort_by": order, "limit": size})
    near = first["pagination"]["next_cursor"]
    text = near + "=" * (-len(near) % 4)
    name = json.loads(base64.urlsafe_b64decode(text))[0]
    far = base64.urlsafe_b64encode(json.dumps([name, *place(instance, workspace, order, (DEEP - 1) * size)]).encode())
    near_took, far_took = [], []
    for _ in range(200):
        near_took.append(asker.ask({"sort_by": order, "limit": size, "cursor": near})[0])
        far_took.append(asker.ask({"sort_by": order, "limit": size, "cursor": far.decode().rstrip("=")})[0])
    near_took, far_took = near_took[20:], far_took[20:]
    return Row(f"  page {DEEP:,} of {size} by {order}; other: page 2", spread(far_took), spread(near_took),
               f"{quantile(near_took, 0.5) / quantile(far_took, 0.5):.2f}", "≥ 0.91")


def place(instance: Instance, workspace: str, order: str, number: int) -> list:
    """Where the page before ended: nobody walks a hundred thousand pages for it."""
    value = {"started_at": "round(extract(epoch FROM started_at) * 1000000)::bigint",
             "duration": "coalesce(duration_seconds, -1)", "qa_score": "coalesce(qa_score, -1)"}[order]
    by = {"started_at": "started_at"}.get(order, value)
    postgres = Postgres(instance)
    command = [postgres.install / "bin" / "psql", "-XAtq", "-h", "127.0.0.1", "-p", str(instance.port("POSTGRES_PORT")),
               "-U", "postgres", "-d", database_name("telephony"), "-c",
               f"SELECT json_build_array({value}, id) FROM calls WHERE workspace_id = '{workspace}' "
               f"ORDER BY {by} DESC, id DESC OFFSET {number - 1} LIMIT 1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True,
                          env={"PGPASSWORD": instance.settings["POSTGRES_PASSWORD"]})
    return json.loads(done.stdout)
