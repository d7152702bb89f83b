"""A report is being made as a job when its program is killed with -9: it ends, whole or failed with a reason."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from outside.people import Person, checked
from outside.platform import ROOT, eventually

from faults.test_faults import kill

sys.path.insert(0, str(ROOT / "deploy" / "local"))
from benchmarks import calls  # noqa: E402
from board.instance import Instance, database_name  # noqa: E402
from board.postgres import Postgres  # noqa: E402

EXPORT = "/api/v1/analytics/export"
CALLS = 500_000  # of which the busiest workspace has a tenth: some seconds of work
# Others begin it anew when its heartbeat is this old (ReportJobStore.silenceSeconds), and a little later.
SILENCE = 15


@pytest.fixture(scope="module")
def person(platform) -> Person:
    """Somebody with many calls."""
    person = Person.registered(platform)
    Postgres(Instance(platform.directory)).psql(
        f"\\connect {database_name('qa-analytics')}\n" + calls.sql(CALLS, person.workspace))
    return person


def asked_for(person: Person, kind: str = "calls", days: int = 400) -> str:
    """The address of a report's job."""
    today = datetime.now(UTC).date()
    answer = person.ask("POST", EXPORT, {"format": "csv", "report_type": kind, "to_date": str(today),
                                         "from_date": str(today - timedelta(days=days))},
                        headers={"Prefer": "respond-async"})
    return checked(answer, 202)["status_url"]


def state(person: Person, url: str) -> dict:
    """Also while the program is down."""
    answer = person.ask("GET", url)
    return answer.json() if answer.status_code == 200 else {}


def row(platform, url: str, columns: str) -> list[str]:
    """What the database has of a job."""
    instance = Instance(platform.directory)
    asked = f"SELECT {columns} FROM report_jobs j WHERE id = '{url.rsplit('/', 1)[1]}'"
    done = subprocess.run([Postgres(instance).install / "bin" / "psql", "-XAt", "-c", asked,
                           instance.database_url("qa-analytics")], capture_output=True, text=True, check=True)
    return done.stdout.strip().split("|")


def killed_under_way(platform, url: str, attempt: int = 1) -> None:
    """In this attempt, not in what an earlier one left."""
    def under_way():
        attempts, status, progress = row(platform, url, "attempts, status, progress")
        assert status in ("queued", "running"), "it was killed too late to tell anything"
        return int(attempts) == attempt and status == "running" and int(progress) > 0
    eventually(under_way, 2 * SILENCE + 30, f"attempt {attempt} has written a piece of the file")
    kill(platform, "qa-analytics")


def pieces(platform, url: str) -> tuple[int, int]:
    """How many there are of a job's file, and their bytes."""
    count, size = row(platform, url, "(SELECT count(*) FROM report_parts WHERE job_id = j.id), "
                                     "(SELECT coalesce(sum(length(bytes)), 0) FROM report_parts WHERE job_id = j.id)")
    return int(count), int(size)


def test_a_report_is_whole_although_its_maker_dies(platform, person):
    url = asked_for(person)
    killed_under_way(platform, url)
    job = eventually(lambda: (found := state(person, url)).get("status") in ("completed", "failed") and found, 240,
                     "the report is over")
    assert job["status"] == "completed" and job["progress"] == 100
    file = person.ask("GET", job["download_url"])
    assert file.status_code == 200 and len(file.content) == job["size"] == pieces(platform, url)[1], "nothing of the dead one's"
    lines = file.content.count(b"\r\n")
    # One line for each call, and the header.
    assert lines == 1 + len({line.split(b",")[0] for line in file.content.split(b"\r\n")[1:] if line}) > CALLS / 20


def test_a_report_that_everybody_dies_of_fails_with_a_reason_and_leaves_nothing(platform, person):
    url = asked_for(person)
    for attempt in (1, 2, 3):
        killed_under_way(platform, url, attempt)
    job = eventually(lambda: (found := state(person, url)).get("status") in ("completed", "failed") and found,
                     4 * SILENCE, "the report is over")
    assert job["status"] == "failed" and job["error"] and "download_url" not in job, job
    assert pieces(platform, url) == (0, 0)
    # And the next one is made.
    again = asked_for(person, "overview", days=1)
    eventually(lambda: state(person, again).get("status") == "completed", 60, "the next report is made")
