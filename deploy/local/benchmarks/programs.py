"""What single programs do with a core: sentiment of sentences, log-ins."""

import ctypes
import ctypes.util
import itertools
import json
import os
import threading
import time

from board import people
from board.api import API
from board.instance import ROOT, Instance

from .table import Row

SENTENCES = 400_000
CONVERSATIONS = ROOT / "Tests" / "CarrierSimulator" / "conversations.jsonl"
LOGIN_SECONDS, LOGINS_AT_ONCE = 4, 4
# As Services/auth/Passwords hashes: passes, KiB, lanes, bytes of salt and of hash.
PASSES, MEMORY, LANES, SALT, HASH = 5, 7_168, 1, 16, 32


def sentiment(instance: Instance) -> list[Row]:
    """Processor time, reading and printing included, less that of a run on one sentence."""
    said = [turn["text"].replace("\n", " ") for line in CONVERSATIONS.read_text().splitlines()
            for turn in json.loads(line)["turns"] if turn["speaker"] == "customer"]
    place = instance.directory / "sentences"
    whole = "\n".join(itertools.islice(itertools.cycle(said), SENTENCES)) + "\n"
    start = scoring(instance, place, said[0] + "\n")
    took = sorted(scoring(instance, place, whole) - start for _ in range(3))[1]
    return [Row("sentiment, sentences on one core", f"{SENTENCES / took:.0f}/s", goal="≥ 200000/s")]


def scoring(instance: Instance, place, text: str) -> float:
    place.write_text(text)
    program = str(instance.binaries / "qa-analytics")
    actions = [(os.POSIX_SPAWN_OPEN, 0, str(place), os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(program, [program, "sentiment"], instance.environment("qa-analytics"),
                             file_actions=actions)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise RuntimeError(f"qa-analytics sentiment ended with status {status}")
    return usage.ru_utime + usage.ru_stime


def logins(instance: Instance) -> list[Row]:
    """Over the gateway, against libargon2 alone on as many cores as hash there (all but one): the hash is most of a log-in,
    and is meant to be."""
    name = ctypes.util.find_library("argon2")
    person = people.credentials(instance)["user"]
    bound, whole = [], []
    for _ in range(2):
        if name:
            bound.append(repeated(max(1, (os.cpu_count() or 1) - 1), lambda library=ctypes.CDLL(name): hashed(library)))
        whole.append(repeated(LOGINS_AT_ONCE, lambda: API(instance.url).signed_in(person)))
    best = max(bound, default=0)
    rate = max(whole)
    return [Row(f"log-ins, {LOGINS_AT_ONCE} at once; other: Argon2 alone", f"{rate:.0f}/s",
                f"{best:.0f}/s" if best else "", f"{rate / best:.2f}" if best else "")]


def repeated(threads: int, body) -> float:
    """How often a second the threads together get through the body. ctypes and sockets let go of Python's lock."""
    began = time.monotonic()
    counts = [0] * threads

    def work(at: int) -> None:
        while time.monotonic() < began + LOGIN_SECONDS / 2:
            body()
            counts[at] += 1

    workers = [threading.Thread(target=work, args=(at,)) for at in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.monotonic() - began)


def hashed(library: ctypes.CDLL) -> None:
    password, salt, out = b"correct horse battery", bytes(SALT), ctypes.create_string_buffer(HASH)
    code = library.argon2id_hash_raw(PASSES, MEMORY, LANES, password, ctypes.c_size_t(len(password)), salt,
                                     ctypes.c_size_t(SALT), out, ctypes.c_size_t(HASH))
    if code != 0:
        raise RuntimeError(f"argon2 answered {code}")
