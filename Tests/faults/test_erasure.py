"""People are deleted while programs, the database and the broker are killed with -9: nothing of them stays."""

import pytest

from outside.leaving import Leaver
from outside.people import Person
from outside.platform import eventually
from outside.traces import in_compacted_topics, in_tables

from faults.test_faults import is_whole, kill


@pytest.mark.parametrize("victims", [
    ["auth"], ["telephony"], ["qa-analytics"], ["knowledge"], ["realtime"], ["billing"], ["broker"], ["postgres"],
    ["auth", "telephony", "broker", "auth", "realtime"],
], ids=lambda victims: "-".join(victims[:3]))
def test_an_erasure_is_completed_whoever_dies(platform, victims):
    admin = Person.logged_in(platform, **platform.credentials["admin"])
    leaver = Leaver(platform, calls=4)
    leaver.deleted_by(admin)
    for victim in victims:
        kill(platform, victim)
        eventually(lambda: is_whole(platform), 90, f"{victim} is back")
    admin = Person.logged_in(platform, **platform.credentials["admin"])
    eventually(lambda: leaver.is_erased(admin), 120, "every program has reported")
    assert in_tables(platform, leaver.words) == []
    assert in_tables(platform, leaver.ids, ids=True) == []
    assert in_compacted_topics(platform, leaver.words) == []


def test_an_export_is_completed_although_its_maker_dies(platform):
    leaver = Leaver(platform, calls=20)
    assert leaver.person.ask("GET", "/api/dashboard/user/export-data/").status_code == 202
    kill(platform, "auth")
    eventually(lambda: is_whole(platform), 90, "auth is back")

    def ready():
        answer = leaver.person.ask("GET", "/api/dashboard/user/export-data/")
        return answer.status_code == 200 and answer.content.startswith(b"PK")
    eventually(ready, 90, "the archive is ready")
