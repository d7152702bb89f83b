"""One kept connection to the gateway, so that only the answer is measured."""

import http.client
import json
import time
import urllib.parse

from board.instance import Instance, Refused


class Asker:
    def __init__(self, instance: Instance, token: str, path: str):
        self.line = http.client.HTTPConnection(urllib.parse.urlsplit(instance.url).netloc, timeout=30)
        self.headers = {"Authorization": f"Bearer {token}"}
        self.path = path

    def ask(self, query: dict | str) -> tuple[float, dict]:
        """Milliseconds and the answer; a text is a whole target."""
        target = query if isinstance(query, str) else f"{self.path}?{urllib.parse.urlencode(query)}"
        began = time.perf_counter()
        self.line.request("GET", target, headers=self.headers)
        answer = self.line.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise Refused(f"{target} answered {answer.status}: {body[:300]!r}")
        return took, json.loads(body)
