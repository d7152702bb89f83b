"""How well questions as callers ask them find the entry that answers, against plain BM25 over the same entries, and how
long a search takes.

The entries are a call centre's own guidelines, which are not part of the repository: `KNOWLEDGE_DATA` names the file, a
list of `{"title", "content"}`. The questions are Tests/KnowledgeTests/queries.json. Those in the set `plain` say it nearly
as the guidelines do; the others tell the situation in other words. The search was tuned with `tuned`, never with `held`.
"""

import json
import math
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from board.api import API
from board.instance import ROOT, Instance, Refused
from board.people import credentials

from .table import Row, spread

QUERIES = ROOT / "Tests" / "KnowledgeTests" / "queries.json"
DATA = Path(os.environ.get("KNOWLEDGE_DATA", ROOT.parent / "shared" / "data" / "knowledge.json"))
SEARCH = "/api/v1/knowledge/search"
GOALS = {"held": ".45 .80 .58"}
TIMED = 1000
# A workspace of a large customer: the guidelines and so many entries of other words around them.
CROWD = 2000


@dataclass
class Quality:
    first: float = 0
    five: float = 0
    reciprocal: float = 0

    def __str__(self) -> str:
        return " ".join(f"{value:.3f}" for value in (self.first, self.five, self.reciprocal))


def quality(queries: list[dict], ranked) -> Quality:
    ranks = []
    for query in queries:
        titles = ranked(query["q"])
        ranks.append(next((at for at, title in enumerate(titles, 1) if title in query["titles"]), math.inf))
    count = len(ranks)
    return Quality(sum(rank == 1 for rank in ranks) / count, sum(rank <= 5 for rank in ranks) / count,
                   sum(1 / rank for rank in ranks) / count)


class BM25:
    """Robertson's formula over whole entries, k1 = 1.2, b = 0.75; words in lower case and nothing else."""

    def __init__(self, entries: list[dict]):
        self.titles = [entry["title"] for entry in entries]
        self.texts = [self.words(f"{entry['title']} {entry['content']}") for entry in entries]
        self.average = sum(map(len, self.texts)) / len(self.texts)
        self.having: dict[str, int] = {}
        for text in self.texts:
            for word in set(text):
                self.having[word] = self.having.get(word, 0) + 1

    @staticmethod
    def words(text: str) -> list[str]:
        return re.findall(r"[a-z0-9']+", text.lower())

    def ranked(self, question: str) -> list[str]:
        words = set(self.words(question))
        scores = [sum(self.gain(word, text) for word in words) for text in self.texts]
        return [self.titles[at] for at in sorted(range(len(scores)), key=lambda at: (-scores[at], at))]

    def gain(self, word: str, text: list[str]) -> float:
        if not (count := text.count(word)):
            return 0
        having, all_of_them = self.having[word], len(self.texts)
        rarity = math.log(1 + (all_of_them - having + 0.5) / (having + 0.5))
        return rarity * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(text) / self.average))


def measure(instance: Instance) -> list[Row]:
    if not DATA.exists():
        raise Refused(f"{DATA} is not there; KNOWLEDGE_DATA names another")
    entries, queries = json.loads(DATA.read_text()), json.loads(QUERIES.read_text())
    person = API(instance.url).post("/api/auth/register/", {
        "email": f"retrieval{time.time_ns()}@example.com", "password": credentials(instance)["user"]["password"],
        "first_name": "Retrieval", "last_name": "Benchmark"})
    api = API(instance.url, person["access"])
    for entry in entries:
        api.post("/api/v1/knowledge", {"title": entry["title"], "content": entry["content"]})

    def ranked(question: str) -> list[str]:
        return [found["title"] for found in api.get(SEARCH, q=question, limit="20")["results"]]

    plain = BM25(entries)
    rows = []
    for name in ("plain", "tuned", "held"):
        chosen = [query for query in queries if query["set"] == name]
        ours, other = quality(chosen, ranked), quality(chosen, plain.ranked)
        rows.append(Row(f"recall@1 @5 MRR, {len(chosen)} {name} questions; other: BM25", str(ours), str(other),
                        f"{ours.reciprocal / other.reciprocal:.2f}", GOALS.get(name, "")))
    rows.append(timed(api, queries, f"search over the gateway, {len(entries)} entries"))
    crowd(api, entries)
    rows.append(timed(api, queries, f"the same, {len(entries) + CROWD} entries"))
    return rows


def crowd(api: API, entries: list[dict]) -> None:
    """Entries that are as long as these and share their commonest words."""
    words = [word for entry in entries for word in BM25.words(entry["content"])]
    for number in range(CROWD):
        start = number * 131 % (len(words) - 240)
        body = " ".join(f"{word}{number % 97}" if at % 3 == 0 else word
                        for at, word in enumerate(words[start:start + 240]))
        api.post("/api/v1/knowledge", {"title": f"Note {number}", "content": body})


def timed(api: API, queries: list[dict], what: str) -> Row:
    took = []
    for number in range(TIMED):
        began = time.perf_counter()
        api.get(SEARCH, q=queries[number % len(queries)]["q"])
        took.append((time.perf_counter() - began) * 1000)
    return Row(what, spread(took))
