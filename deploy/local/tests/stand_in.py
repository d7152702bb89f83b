#!/usr/bin/env python3
"""Stands in for every program, so that the supervisor can be tried without building one. Its name is what it is
called; STAND_IN_CRASH names the one that ends at once with STAND_IN_STATUS."""

import http.server
import json
import os
import signal
import sys
import time

name = os.path.basename(sys.argv[0])
command = sys.argv[1] if len(sys.argv) > 1 else "serve"
begun = time.monotonic()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = time.monotonic() - begun > 0.2
        body = json.dumps({"parts": {"kafka": "ready" if ready else "joining"}}).encode()
        if self.path == "/environment":
            body = json.dumps(dict(os.environ)).encode()
        self.send_response(200 if ready else 503)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"access": "a token"}')

    def log_message(self, *arguments):
        pass


if command == "serve":
    if os.environ.get("STAND_IN_CRASH") == name:
        print("the stand-in was told to crash", flush=True)
        sys.exit(int(os.environ.get("STAND_IN_STATUS", "1")))
    signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(0))
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
print(name, *sys.argv[1:])
