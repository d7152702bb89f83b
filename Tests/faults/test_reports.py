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


def killed_under_way(platform, person: Person, url: str) -> None:
    def under_way():
        job = state(person, url)
        assert job.get("status") not in ("completed", "failed"), f"it was killed too late to tell anything: {job}"
        return job.get("status") == "running" and job["progress"] > 0
    eventually(under_way, 2 * SILENCE + 30, "a piece of the file is there")
    kill(platform, "qa-analytics")


def pieces(platform, url: str) -> tuple[int, int]:
    """How many there are of a job's file, and their bytes."""
    instance = Instance(platform.directory)
    asked = ("SELECT count(*), coalesce(sum(length(bytes)), 0) FROM report_parts "
             f"WHERE job_id = '{url.rsplit('/', 1)[1]}'")
    done = subprocess.run([Postgres(instance).install / "bin" / "psql", "-XAt", "-c", asked,
                           instance.database_url("qa-analytics")], capture_output=True, text=True, check=True)
    count, size = done.stdout.strip().split("|")
    return int(count), int(size)


def test_a_report_is_whole_although_its_maker_dies(platform, person):
    url = asked_for(person)
    killed_under_way(platform, person, url)
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
    for _ in range(3):
        killed_under_way(platform, person, url)
    job = eventually(lambda: (found := state(person, url)).get("status") in ("completed", "failed") and found,
                     4 * SILENCE, "the report is over")
    assert job["status"] == "failed" and job["error"] and "download_url" not in job, job
    assert pieces(platform, url) == (0, 0)
    # And the next one is made.
    again = asked_for(person, "overview", days=1)
    eventually(lambda: state(person, again).get("status") == "completed", 60, "the next report is made")
