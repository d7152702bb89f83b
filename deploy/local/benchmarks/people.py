"""The list of people with a million of them: each way of asking, over the gateway, one request after the other."""

import random
import time
import urllib.parse

from board import people
from board.api import API
from board.instance import Instance
from board.postgres import Postgres

from .asking import Asker
from .table import Row, spread

PEOPLE = 1_000_000
ASKED = 60  # of each kind, with values that differ
GOAL = "p99 ≤ 10 ms"

FIRST = ("Anna Ben Carla David Elena Felix Greta Hugo Ida Jonas Klara Liam Maria Noah Olivia Paul Quinn Rosa Samuel Tara "
         "Ulrich Vera Walter Xenia Yusuf Zoe Amir Bianca Cem Dora Emil Fatima Gabor Hanna Igor Julia Karim Lena Mateo Nora "
         "Oscar Petra Rafael Selma Tomas Uta Viktor Wanda Yara Zeno").split()
LAST = ("Abel Becker Castro Dahl Eriksen Fischer Garcia Huber Ivanov Jansen Keller Larsen Meyer Novak Olsen Peeters Quist Rossi "
        "Silva Thomsen Urban Vogel Weber Xander Young Zimmer Adler Brandt Costa Dietz Ebert Franke Graf Haas Iversen Jung "
        "Koch Lindner Moreau Nagy Ortega Pavlov Roth Sato Tanaka Ueda Varga Wolf Yilmaz Zhang").split()
# Five hundred surnames with these: one in fifty people is called by each first name, one in five hundred by each surname.
BEFORE = ["", "Alt", "Neu", "Ober", "Unter", "Gross", "Klein", "Hoch", "Stein", "Wald"]


def surname(before: str, name: str) -> str:
    return before + name.lower() if before else name


def sql(instance: Instance, script: str) -> None:
    """Auth's database, as its superuser: nobody else writes a million rows in one statement within the time limit."""
    postgres = Postgres(instance)
    postgres.psql("\\connect switchboard_auth\n" + script)


def fill(instance: Instance) -> float:
    """A million people, made by the database itself, and the seconds that took. Roles, states and names are spread as in
    life: most are active users, a few are agents, fewer staff; everybody has a workspace."""
    began = time.monotonic()
    first = "ARRAY[" + ",".join(f"'{name}'" for name in FIRST) + "]"
    names = [surname(before, name) for before in BEFORE for name in LAST]
    last = "ARRAY[" + ",".join(f"'{name}'" for name in names) + "]"
    sql(instance, f"""
        SELECT setseed(0.5);
        INSERT INTO users (email, email_folded, username, username_folded, first_name, last_name, phone, password_hash,
                           role, is_staff, status, is_verified, last_login, created_at, updated_at)
        SELECT name || '@example' || n % 5000 || '.com', name || '@example' || n % 5000 || '.com', name, name,
               first, last, '+1' || (2000000000 + n), 'none',
               CASE WHEN n % 20 = 0 THEN 'agent' ELSE 'user' END, n % 5000 = 0,
               CASE WHEN n % 100 = 0 THEN 'inactive' WHEN n % 1000 = 1 THEN 'suspended' ELSE 'active' END, n % 4 <> 0,
               CASE WHEN n % 3 <> 0 THEN made + random() * (now() - made) END, made, made
        FROM (SELECT n, first, last, lower(first || '.' || last || n) AS name,
                     now() - random() * interval '1000 days' AS made
              FROM (SELECT n, ({first})[1 + (hashint4(n) & 1023) % {len(FIRST)}] AS first,
                           ({last})[1 + (hashint4(n + 1) & 65535) % {len(names)}] AS last
                    FROM generate_series(1, {PEOPLE}) AS n) AS names) AS people;
        INSERT INTO workspaces (id, name) SELECT id, first_name || '''s workspace' FROM users
            ON CONFLICT DO NOTHING;
        INSERT INTO memberships (workspace_id, user_id, role) SELECT id, id, 'owner' FROM users
            WHERE password_hash = 'none' ON CONFLICT DO NOTHING;
        VACUUM (ANALYZE) users;
        VACUUM (ANALYZE) memberships;
        VACUUM (ANALYZE) workspaces;
    """)
    return time.monotonic() - began


def kinds(dice: random.Random) -> dict:
    """What is asked, by name: each a function of the how-manieth time."""
    orders = ["email", "username", "created_at", "last_login", "first_name", "last_name", "updated_at"]
    rare = [{"role": "admin"}, {"status": "suspended"}, {"status": "inactive"}, {"is_staff": "true"}, {"is_superuser": "true"}]
    often = [{"role": "agent"}, {"role": "user"}, {"status": "active"}, {"is_verified": "false"}, {"is_verified": "true"}]

    def order():
        return dice.choice(["", "-"]) + dice.choice(orders)

    def name():
        return f"{dice.choice(FIRST)}.{dice.choice(LAST)}".lower()

    def number():
        return dice.randrange(1, PEOPLE)

    def day(ago: int) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago * 86_400))

    def days() -> dict:
        ago = dice.randrange(30, 900)
        return {"created_at__gte": day(ago), "created_at__lte": day(ago - dice.randrange(1, 20))}

    return {
        "first page, any order": lambda: {"ordering": order()},
        "pages 2 to 50": lambda: {"ordering": order(), "page": dice.randrange(2, 50)},
        "a rare kind, any order": lambda: {"ordering": order()} | dice.choice(rare),
        "a frequent kind, any order": lambda: {"ordering": order()} | dice.choice(often),
        "two kinds, any order": lambda: {"ordering": order()} | dice.choice(rare) | dice.choice(often),
        "an e-mail address or a user name": lambda: {dice.choice(["email", "username"]): f"nobody{number()}"},
        "a workspace": lambda: {"workspace": "0198c5d2-7a10-7cc3-98c5-d27a10acc3f1", "ordering": order()},
        "some days": lambda: days() | {"ordering": order()},
        "search: somebody's e-mail address": lambda: {"search": f"{name()}{number()}", "ordering": order()},
        "search: a phone number's beginning": lambda: {"search": f"+12{number() + 10**9}"[:9]},
        "search: first and last name": lambda: {"search": f"{dice.choice(FIRST)} {surname(dice.choice(BEFORE), dice.choice(LAST))}",
                                                "ordering": order()},
        "search: a surname": lambda: {"search": surname(dice.choice(BEFORE), dice.choice(LAST)), "ordering": order()},
        "search: a first name of fifty": lambda: {"search": dice.choice(FIRST), "ordering": order()},
        "search: one letter": lambda: {"search": chr(97 + dice.randrange(26)), "ordering": order()},
    }


# Not part of the goal: who asks for these waits a little.
BESIDE = {"search: one letter", "search: a first name of fifty"}


def measure(instance: Instance) -> list[Row]:
    seconds = fill(instance)
    admin = API(instance.url).signed_in(people.credentials(instance)["admin"])
    asker = Asker(instance, admin.token, "/api/users/users/")
    dice = random.Random(1)
    for query in kinds(dice).values():
        for _ in range(10):
            asker.ask(query())
    rows, all_of_them = [], []
    for name, query in kinds(dice).items():
        took = [asker.ask(query())[0] for _ in range(ASKED)]
        if name not in BESIDE:
            all_of_them += took
        rows.append(Row(f"  {name}", spread(took), goal="" if name in BESIDE else GOAL))
    rows.append(Row("  next links, 200 pages of 100 on from the start", spread(walk(asker))))
    far = [asker.ask({"page": dice.randrange(20_000, 40_000)})[0] for _ in range(20)]
    rows.append(Row("  a page number in the middle, 20,000 to 40,000", spread(far)))
    head = Row(f"list of {PEOPLE} people (made in {seconds:.0f} s), all kinds together", spread(all_of_them), goal=GOAL)
    return [head, *rows]


def walk(asker: Asker) -> list[float]:
    took, target = [], "/api/users/users/?page_size=100&ordering=-last_login"
    for _ in range(200):
        spent, page = asker.ask(target)
        took.append(spent)
        link = urllib.parse.urlsplit(page["next"])
        target = f"{link.path}?{link.query}"
    return took
