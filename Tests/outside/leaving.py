"""People who go, with everything they have."""

import random
import string

from .calls import play
from .people import Person, checked, unique, unique_number
from .platform import Platform, eventually


def letters() -> str:
    return "".join(random.choices(string.ascii_lowercase, k=12)).capitalize()


class Leaver:
    """Somebody with a workspace in which everything happens, under names that occur nowhere else."""

    def __init__(self, platform: Platform, calls: int = 1):
        self.platform = platform
        self.first, self.last, self.phone = letters(), letters(), unique_number()
        self.email = f"{letters().lower()}@example.com"
        self.person = person = Person.registered(
            platform, email=self.email, first_name=self.first, last_name=self.last, phone=self.phone)
        self.workspace = person.workspace
        config = person.post(
            "/api/v1/config/business", {"name": f"{self.last} shop", "type": "retail"}, 201,
            headers={"Idempotency-Key": unique("key")})["config"]["id"]
        agent = person.agent(business_id=config, name=f"{self.first}'s agent")
        self.number = person.number(agent)["phone_number"]
        person.human(name=f"{self.first} {self.last}", email=self.email, phone_number=self.phone)
        person.post("/api/v1/knowledge", {"title": f"About {self.last}", "content": f"{self.first} opens at nine."}, 201)
        reports = play(platform, {"to": self.number, "calls": calls, "at_once": min(calls, 10), "speed": 20})
        self.sids = [report["sid"] for report in reports]
        call = person.wait_for_call(self.sids[0], status="completed")["id"]
        self.call = call
        person.post(f"/api/v1/calls/{call}/notes", {"note": f"{self.first} called {self.phone}"}, 201)
        person.ask("PATCH", "/api/dashboard/user/settings/", {"calls": {"default_voice": f"{self.first}'s voice"}})
        eventually(lambda: person.get("/api/v1/analytics/overview")["total_calls"] >= calls, 30, "the calls are counted")
        eventually(lambda: person.get("/api/subscriptions/current/")["usage"]["calls"] >= calls, 30, "and metered")

    @property
    def words(self) -> list[str]:
        return [self.email, self.first, self.last, self.phone]

    @property
    def ids(self) -> list[str]:
        return [self.person.user["id"], self.workspace, self.call]

    def deleted_by(self, admin: Person) -> None:
        checked(admin.ask("DELETE", f"/api/users/users/{self.person.user['id']}/"), 202)

    def erasures(self, admin: Person) -> list[dict]:
        return [each for id in (self.person.user["id"], self.workspace)
                for each in admin.get("/api/users/erasures/", id=id)["results"]]

    def is_erased(self, admin: Person) -> bool:
        found = self.erasures(admin)
        return len(found) == 2 and all(each["state"] == "finished" for each in found)
