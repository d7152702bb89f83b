"""`make bench`: what it is, not what we hoped. Ratios come from one run on one machine, the sides taking turns.

First the gateway against nginx's `proxy_pass`, both in front of the same upstream; then the `benchmarks` program
against the platform, which measures what lives inside the programs.
"""

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from board import people
from board.api import API
from board.instance import ROOT, SETUP, Instance, Refused, free_ports
from board.programs import listening, ready_page
from test import Platform, swift_environment

ROUNDS = 3
ROUND_SECONDS = int(os.environ.get("ROUND_SECONDS", "4"))
CONNECTIONS = 64
PLACE = SETUP / "test" / "bench-nginx"

# One worker each, like a gateway with one loop per core shares a machine with what it is compared with.
NGINX = """
daemon off; master_process off; pid {place}/nginx.pid; error_log {place}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  default_type application/json;
  keepalive_requests 1000000000;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  {servers}
}}
"""
UPSTREAM = """
  access_log off;
  server {{
    listen 127.0.0.1:{upstream} backlog=4096;
    location = /.well-known/jwks.json {{ root {place}/files; default_type application/json; }}
    location / {{ return 200 '{body}'; }}
  }}
"""
PROXY = """
  upstream answers {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    access_log {log};
    location / {{ proxy_pass http://answers; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
"""
BODY = '{"status":"ok","items":[{"id":1,"name":"first"},{"id":2,"name":"second"}]}'


class Processes:
    """What this script started, ended when the `with` is left."""

    def __enter__(self) -> "Processes":
        self.all: list[subprocess.Popen] = []
        return self

    def start(self, command: list, environment: dict[str, str], log: Path) -> None:
        with log.open("ab") as out:
            self.all.append(subprocess.Popen([str(each) for each in command], env=environment, cwd=ROOT, stdout=out,
                                             stderr=out, stdin=subprocess.DEVNULL))

    def __exit__(self, *error) -> None:
        for process in self.all:
            process.send_signal(signal.SIGTERM)
        for process in self.all:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(ready, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (reason := ready()) is not None:
        if time.monotonic() > deadline:
            raise Refused(reason)
        time.sleep(0.05)


def nginx(processes: Processes, name: str, servers: str) -> None:
    folder = PLACE / name
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(place=folder, servers=servers))
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    processes.start([binary, "-p", folder, "-c", config, "-e", folder / "error.log"], dict(os.environ),
                    folder / "out.log")


def wrk(url: str, token: str | None = None) -> tuple[float, float]:
    """Requests a second and the 99th percentile in milliseconds. Any answer but 200 ends the measurement."""
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_SECONDS}s", "--latency", *header, url],
                          capture_output=True, text=True, check=True)
    if re.search(r"Non-2xx|Socket errors", done.stdout):
        raise Refused(f"{url} answered with errors:\n{done.stdout}")
    latency, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1)),
            float(latency) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit])


def compare(title: str, goal: float, ours: tuple, theirs: tuple) -> None:
    """Sides take turns, so a slow minute of the machine hits both; the median of the rounds counts."""
    wrk(*ours), wrk(*theirs)  # warm
    measured = {"ours": [], "nginx": []}
    for _ in range(ROUNDS):
        measured["nginx"].append(wrk(*theirs))
        measured["ours"].append(wrk(*ours))
    rate = {side: statistics.median(each[0] for each in rounds) for side, rounds in measured.items()}
    slow = {side: statistics.median(each[1] for each in rounds) for side, rounds in measured.items()}
    ratio = rate["ours"] / rate["nginx"]
    print(f"{title:<44} {rate['ours']:>9,.0f} req/s   nginx {rate['nginx']:>9,.0f} req/s   ratio {ratio:5.2f} "
          f"(goal {goal:.2f})   p99 {slow['ours']:.2f} / {slow['nginx']:.2f} ms", flush=True)


def gateway_against_nginx(instance: Instance) -> None:
    upstream, plain, logged, bare, full, internal, other = free_ports(7)
    shutil.rmtree(PLACE, ignore_errors=True)
    keys = PLACE / "upstream" / "files" / ".well-known"
    keys.mkdir(parents=True)
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.port_of('auth')}/.well-known/jwks.json") as answer:
        (keys / "jwks.json").write_bytes(answer.read())
    token = API(instance.url).signed_in(people.credentials(instance)["user"]).token

    behind = f"http://127.0.0.1:{upstream}"
    common = instance.environment("gateway") | {
        each: behind for each in ("AUTH_URLS", "KNOWLEDGE_URLS")}
    with Processes() as processes:
        nginx(processes, "upstream", UPSTREAM.format(place=PLACE / "upstream", upstream=upstream, body=BODY))
        nginx(processes, "plain", PROXY.format(upstream=upstream, port=plain, log="off"))
        nginx(processes, "logged", PROXY.format(upstream=upstream, port=logged, log=f"{PLACE}/logged/access.log"))
        program = instance.binaries / "gateway"
        processes.start([program, "serve"],
                        common | {"PORT": str(bare), "INTERNAL_PORT": str(internal), "LOG_LEVEL": "error",
                                  "LOOPS": "1"}, PLACE / "bare.log")
        limits = {"RATE_LIMIT_STANDARD_PER_MINUTE": "1000000000", "RATE_LIMIT_ANONYMOUS_PER_MINUTE": "1000000000"}
        processes.start([program, "serve"],
                        common | limits | {"PORT": str(full), "INTERNAL_PORT": str(other), "LOG_LEVEL": "info",
                                           "LOOPS": "1"}, PLACE / "full.log")
        for port in (upstream, plain, logged):
            wait_for(lambda: listening(port))
        for port in (bare, full):
            wait_for(lambda: ready_page(port))
        compare("proxy, bare", 1.0, (f"http://127.0.0.1:{bare}/media/avatars/none",),
                (f"http://127.0.0.1:{plain}/media/avatars/none",))
        compare("proxy, with token, limits and access log", 0.85, (f"http://127.0.0.1:{full}/api/v1/knowledge", token),
                (f"http://127.0.0.1:{logged}/api/v1/knowledge", token))


def main() -> int:
    try:
        with Platform("bench", only_infrastructure=False, binaries=ROOT / ".build" / "release") as instance:
            people.create(instance)
            print(f"{os.cpu_count()} cores; {ROUNDS} rounds of {ROUND_SECONDS} s each, {CONNECTIONS} connections, "
                  f"sides taking turns\n", flush=True)
            gateway_against_nginx(instance)
            environment = swift_environment(instance) | {
                "SWITCHBOARD_URL": instance.url, "SWITCHBOARD_CREDENTIALS": str(instance.credentials_file)}
            return subprocess.run([str(instance.binaries / "benchmarks")], env=environment, cwd=ROOT).returncode
    except Refused as refused:
        print(f"bench: {refused}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
