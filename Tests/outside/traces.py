"""Looking for what somebody left behind: in every table, in the topics that keep the last word, in the logs."""

import re
import subprocess
import sys
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from .platform import PROGRAMS, ROOT, Platform

sys.path.insert(0, str(ROOT / "deploy" / "local"))

from board.instance import Instance  # noqa: E402
from board.postgres import Postgres  # noqa: E402

COMPACTED = ["auth.revocations", "auth.blacklist", "knowledge.configs"]
# They hold ids and nothing else, so that nothing comes back.
KEEP_IDS = {"erasures", "erasure_requests", "revocations", "audit"}
# Events that say that something is gone, by the end of their type.
SAY_GONE = re.compile(r"\.(deleted|removed|reported)\.v\d+\b|auth\.revocation\.recorded\.v\d+\b|\.tombstone\.v\d+\b")


def in_tables(platform: Platform, needles: list[str], ids: bool = False) -> list[str]:
    """`program.table: needle` for every row of every table that holds one; `ids` passes over what may hold those."""
    found = []
    instance = Instance(platform.directory)
    dump = Postgres(instance).install / "bin" / "pg_dump"
    for program in PROGRAMS:
        text = subprocess.run([dump, "--data-only", instance.database_url(program)], capture_output=True, check=True,
                              timeout=120).stdout.decode(errors="replace")
        table = ""
        for line in text.splitlines():
            if line.startswith("COPY public."):
                table = line.split()[1].removeprefix("public.")
            if ids and (table in KEEP_IDS or table.startswith("outbox") and SAY_GONE.search(line)):
                continue
            for needle in needles:
                if needle.lower() in line.lower() or needle.encode().hex() in line:
                    found.append(f"{program}.{table}: {needle}")
    return sorted(set(found))


def in_compacted_topics(platform: Platform, needles: list[str]) -> list[str]:
    """What a reader from the beginning ends up with: the last record of each key."""
    found = []
    for topic in COMPACTED:
        for key, value in last_words(platform, topic).items():
            if value is not None:
                found += [f"{topic}: {needle} in {value[:300]!r}" for needle in needles
                          if needle.encode() in value or needle.encode() in key]
    return found


def last_words(platform: Platform, topic: str) -> dict[bytes, bytes | None]:
    # A consumer for each topic: one that is given another topic may still hand out records of the one before.
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{platform.settings['BROKER_PORT']}", "group.id": "traces",
                         "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    last = {}
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        assert len(partitions) == 1, f"{topic} has {len(partitions)} partitions"
        place = TopicPartition(topic, 0, 0)
        end = consumer.get_watermark_offsets(place, timeout=10)[1]
        consumer.assign([place])
        at = 0
        while True:
            # The local broker tells of an end behind the first record of the last batch: the rest of that batch is
            # fetched with it, and handed out at once.
            record = consumer.poll(10 if at < end else 1)
            if record is None and at >= end:
                break
            assert record is not None and record.error() is None, f"{topic} could not be read to its end"
            last[record.key() or b""], at = record.value(), record.offset() + 1
    finally:
        consumer.close()
    return last


def in_logs(platform: Platform, needles: list[str]) -> list[str]:
    found = []
    for file in sorted(Path(platform.directory / "log").glob("*.log")):
        text = file.read_text(errors="replace").lower()
        found += [f"{file.name}: {needle}" for needle in needles if needle.lower() in text]
    return found
