"""What a plan allows is enforced where things are made."""

from concurrent.futures import ThreadPoolExecutor

import requests

from outside.people import unique
from outside.platform import eventually

AGENTS = "/api/agents/agents/"


def test_however_many_agents_are_asked_for_at_once_only_the_plans_number_is_made(platform, owner):
    allowed = owner.get("/api/subscriptions/current/")["limits"]["agent_limit"]

    def make(_=None):
        return requests.post(
            platform.url + AGENTS, json={"name": unique("Ava"), "greeting": "Hello."}, timeout=60,
            headers={"Authorization": f"Bearer {owner.token}"})
    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(make, range(allowed + 10)))
    made = [answer.json() for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert len(made) == allowed and {answer.status_code for answer in refused} == {402}
    body = refused[0].json()
    assert body["code"] == "PAYMENT_REQUIRED" and "/api/subscriptions/plans/" in body["detail"], body
    assert owner.get(AGENTS)["count"] == allowed

    def used():
        return owner.get("/api/subscriptions/current/")["usage"]["agents"]
    eventually(lambda: used() == allowed, 10, "billing counts them all")
    assert owner.ask("DELETE", f"{AGENTS}{made[0]['id']}/").status_code == 204
    assert make().status_code == 201
    eventually(lambda: used() == allowed, 10, "billing counts what is there")
