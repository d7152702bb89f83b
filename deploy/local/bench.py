"""`make bench`: what it is, not what we hoped. Ratios come from one run on one machine, the sides taking turns.

Everything runs against a platform of its own, built in release. `make bench` may run beside `make up`; it is only
slower then, on both sides of each ratio.

    bench.py [proxy] [programs] [live] [sockets] [crowd] [sentiment] [logins] [flood] [retrieval] [analytics] [calls] [people]
"""

import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sample_data
from benchmarks import analytics, call_list, crowd, flood, live, programs, proxy, retrieval, sockets
from benchmarks import people as list_of_people
from benchmarks.table import Row, rows_of, show
from board import people
from board.instance import ROOT, Instance, Refused
from board.postgres import Postgres
from test import Platform, swift_environment

BINARIES = Path(os.environ.get("SWITCHBOARD_BINARIES", ROOT / ".build" / "release"))
PROGRAM_SECONDS = 120


def in_process(instance: Instance) -> list[Row]:
    """What lives inside the programs: Tests/Benchmarks."""
    environment = swift_environment(instance) | {"PGBENCH": str(Postgres(instance).install / "bin" / "pgbench")}
    done = subprocess.run([str(instance.binaries / "benchmarks")], env=environment, cwd=ROOT, capture_output=True,
                          text=True, timeout=PROGRAM_SECONDS)
    if done.returncode != 0:
        raise Refused(f"benchmarks ended with exit status {done.returncode}:\n{done.stderr[-2000:]}")
    if not (rows := rows_of(done.stdout)):
        raise Refused(f"benchmarks measured nothing:\n{done.stdout[-2000:]}")
    return rows


# In this order: `live` plays the calls that `sockets` writes notes to.
SUBJECTS = {
    "proxy": proxy.measure,
    "programs": in_process,
    "live": live.measure,
    "sockets": sockets.measure,
    "crowd": crowd.measure,
    "sentiment": programs.sentiment,
    "logins": programs.logins,
    "flood": flood.measure,
    "retrieval": retrieval.measure,
    # Last: millions of rows are in the way of everything after.
    "analytics": analytics.measure,
    "calls": call_list.measure,
    "people": list_of_people.measure,
}


def main(wanted: list[str]) -> int:
    if unknown := [name for name in wanted if name not in SUBJECTS]:
        print(f"bench: {', '.join(unknown)}? There is: {', '.join(SUBJECTS)}", file=sys.stderr)
        return 64
    if "sockets" in wanted and "live" not in wanted:
        wanted.append("live")
    rows: list[Row] = []
    failures: list[str] = []
    try:
        with Platform("bench", only_infrastructure=False, binaries=BINARIES) as instance:
            people.create(instance)
            sample_data.create(instance)
            for name, measure in SUBJECTS.items():
                if wanted and name not in wanted:
                    continue
                began = time.monotonic()
                try:
                    rows += measure(instance)
                except (Refused, OSError, subprocess.SubprocessError) as error:
                    failures.append(f"{name}: {error}")
                print(f"bench: {name}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    except Refused as refused:
        failures.append(str(refused))
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; rates and times of the same run, sides taking "
          f"turns; a ratio above 1 means ours is better\n")
    show(rows)
    for failure in failures:
        print(f"bench: not measured: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
