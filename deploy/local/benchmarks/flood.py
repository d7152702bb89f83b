"""Whether a flood of log-ins slows anybody else: another route's latency with it and without, taking turns."""

import http.client
import json
import re
import subprocess
import tempfile
import time

from board import people
from board.api import API
from board.instance import Instance

from .table import Row, figure, quantile

# Short turns: what else the machine does changes by the minute, and should not fall on one side only.
AT_ONCE, SECONDS, TURNS = 32, 2, 16
ROUTES = {"auth's own": "/api/users/users/me/", "another program's": "/api/v1/calls?limit=1"}


def measure(instance: Instance) -> list[Row]:
    person = people.credentials(instance)["user"]
    token = API(instance.url).signed_in(person).token
    calm = {name: [] for name in ROUTES}
    flooded = {name: [] for name in ROUTES}
    logged_in, took = 0, 0.0
    for _ in range(TURNS):
        for name, path in ROUTES.items():
            calm[name] += latencies(instance, path, token)
        with Flood(instance, person) as flood:
            for name, path in ROUTES.items():
                flooded[name] += latencies(instance, path, token)
        logged_in, took = logged_in + flood.count, took + flood.seconds
    rows = []
    for name in ROUTES:
        without, during = quantile(calm[name], 0.99), quantile(flooded[name], 0.99)
        rows.append(Row(f"p99 of {name} route in a flood of log-ins; other: without",
                        f"{figure(during)} ms", f"{figure(without)} ms", f"{without / during:.2f}", "≥ 0.83"))
    rows.append(Row(f"log-ins of that flood, {AT_ONCE} at once", f"{logged_in / took:.0f}/s"))
    return rows


def latencies(instance: Instance, path: str, token: str) -> list[float]:
    """Of one caller who asks again and again, a hundred times a second at most, so as not to be the load."""
    connection = http.client.HTTPConnection("127.0.0.1", instance.port("GATEWAY_PORT"), timeout=30)
    found, until = [], time.monotonic() + SECONDS
    while time.monotonic() < until:
        began = time.monotonic()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}")
        found.append((time.monotonic() - began) * 1000)
        time.sleep(max(0, 0.01 - (time.monotonic() - began)))
    connection.close()
    return found


class Flood:
    """Log-ins as fast as they are answered, inside the `with`. 503 is an answer: the queue is bounded.

    wrk makes them, not threads of ours: whoever measures beside 32 of those measures this interpreter's lock.
    """

    def __init__(self, instance: Instance, person: dict):
        self.count = 0
        body = json.dumps({"email": person["email"], "password": person["password"]})
        self.script = tempfile.NamedTemporaryFile("w", suffix=".lua")
        self.script.write(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n'
                          'wrk.headers["Content-Type"] = "application/json"\n')
        self.script.flush()
        self.command = ["wrk", "-t1", f"-c{AT_ONCE}", "--timeout", "30s", "-s", self.script.name,
                        f"{instance.url}/api/auth/login/"]

    def __enter__(self) -> "Flood":
        seconds = 1 + SECONDS * len(ROUTES)
        self.process = subprocess.Popen([*self.command, f"-d{seconds}s"], stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        return self

    def __exit__(self, *error) -> None:
        out = self.process.communicate(timeout=60)[0]
        self.script.close()
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        self.count = int(re.search(r"(\d+) requests in", out).group(1)) - int(refused.group(1) if refused else 0)
        self.seconds = float(re.search(r"requests in ([\d.]+)s", out).group(1))
