"""The gateway against nginx's `proxy_pass`, both in front of the same upstream, both with one worker."""

import os
import re
import shutil
import statistics
import subprocess
import urllib.request

from board import people
from board.api import API
from board.instance import SETUP, Instance, Refused, free_ports
from board.programs import listening, ready_page

from .processes import Processes, processor_seconds, wait_for
from .table import Row

ROUNDS = 3
ROUND_SECONDS = int(os.environ.get("ROUND_SECONDS", "4"))
CONNECTIONS = 64
PLACE = SETUP / "test" / "bench-nginx"

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


def measure(instance: Instance) -> list[Row]:
    upstream, plain, logged, bare, full, internal, other, together, third, redis = free_ports(10)
    shutil.rmtree(PLACE, ignore_errors=True)
    keys = PLACE / "upstream" / "files" / ".well-known"
    keys.mkdir(parents=True)
    with urllib.request.urlopen(f"http://127.0.0.1:{instance.port_of('auth')}/.well-known/jwks.json") as answer:
        (keys / "jwks.json").write_bytes(answer.read())
    token = API(instance.url).signed_in(people.credentials(instance)["user"]).token

    behind = f"http://127.0.0.1:{upstream}"
    common = instance.environment("gateway") | {"AUTH_URLS": behind, "KNOWLEDGE_URLS": behind, "LOOPS": "1"}
    # Counted, but never reached.
    limits = {"RATE_LIMIT_STANDARD_PER_MINUTE": "1000000000", "RATE_LIMIT_ANONYMOUS_PER_MINUTE": "1000000000"}
    gateway = [instance.binaries / "gateway", "serve"]
    with Processes() as processes:
        nginx(processes, "upstream", UPSTREAM.format(place=PLACE / "upstream", upstream=upstream, body=BODY))
        plain_nginx = nginx(processes, "plain", PROXY.format(upstream=upstream, port=plain, log="off"))
        logged_nginx = nginx(processes, "logged", PROXY.format(
            upstream=upstream, port=logged, log=f"{PLACE}/logged/access.log"))
        bare_gateway = processes.start(
            gateway, common | {"PORT": str(bare), "INTERNAL_PORT": str(internal), "LOG_LEVEL": "error"},
            PLACE / "bare.log")
        full_gateway = processes.start(
            gateway, common | limits | {"PORT": str(full), "INTERNAL_PORT": str(other), "LOG_LEVEL": "info"},
            PLACE / "full.log")
        counters(processes, redis)
        for port in (upstream, plain, logged, redis):
            wait_for(lambda: listening(port))
        shared_gateway = processes.start(
            gateway, common | limits | {"PORT": str(together), "INTERNAL_PORT": str(third), "LOG_LEVEL": "info",
                                        "REDIS_URL": f"redis://127.0.0.1:{redis}"}, PLACE / "together.log")
        for port in (bare, full, together):
            wait_for(lambda: ready_page(port))
        return [
            *compare("proxy, bare, against nginx", "≥ 1.0",
                     (bare_gateway, f"http://127.0.0.1:{bare}/media/avatars/none"),
                     (plain_nginx, f"http://127.0.0.1:{plain}/media/avatars/none")),
            *compare("proxy with token, limits, log; nginx: log", "≥ 0.85",
                     (full_gateway, f"http://127.0.0.1:{full}/api/v1/knowledge", token),
                     (logged_nginx, f"http://127.0.0.1:{logged}/api/v1/knowledge", token)),
            *compare("the same, counted in Redis; other: in memory", "",
                     (shared_gateway, f"http://127.0.0.1:{together}/api/v1/knowledge", token),
                     (full_gateway, f"http://127.0.0.1:{full}/api/v1/knowledge", token)),
        ]


def counters(processes: Processes, port: int) -> None:
    """What gateways count in together."""
    binary = next(filter(None, map(shutil.which, ["valkey-server", "redis-server"])), None)
    if binary is None:
        raise Refused("no valkey-server or redis-server: deploy/local/setup bench")
    processes.start([binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                     "--dir", PLACE], dict(os.environ), PLACE / "redis.log")


def nginx(processes: Processes, name: str, servers: str) -> int:
    folder = PLACE / name
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(place=folder, servers=servers))
    binary = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        raise Refused("nginx is not installed: deploy/local/setup bench")
    return processes.start([binary, "-p", folder, "-c", config, "-e", folder / "error.log"],
                           dict(os.environ), folder / "out.log")


def compare(title: str, goal: str, ours: tuple, theirs: tuple) -> list[Row]:
    """Sides take turns, so a slow minute of the machine hits both; the median of the rounds counts."""
    wrk(*ours[1:], seconds=1), wrk(*theirs[1:], seconds=1)  # warm
    us, them = [], []
    for _ in range(ROUNDS):
        them.append(turn(*theirs))
        us.append(turn(*ours))
    (rate, slow, cost), (their_rate, their_slow, their_cost) = (
        [statistics.median(column) for column in zip(*rounds)] for rounds in (us, them))
    return [
        Row(title, f"{rate:.0f}/s", f"{their_rate:.0f}/s", f"{rate / their_rate:.2f}", goal),
        Row("  processor time of one request", f"{cost:.1f} µs", f"{their_cost:.1f} µs", f"{their_cost / cost:.2f}"),
        Row("  p99 of these requests", f"{slow:.1f} ms", f"{their_slow:.1f} ms", f"{their_slow / slow:.2f}"),
    ]


def turn(process: int, url: str, token: str | None = None) -> tuple[float, float, float]:
    """Requests a second, 99th percentile in milliseconds, and microseconds of the proxy's processor time for each."""
    before = processor_seconds(process)
    rate, slow = wrk(url, token)
    return rate, slow, (processor_seconds(process) - before) / (rate * ROUND_SECONDS) * 1e6


def wrk(url: str, token: str | None = None, seconds: int = ROUND_SECONDS) -> tuple[float, float]:
    """Requests a second and the 99th percentile in milliseconds. Any answer but 200 ends the measurement."""
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *header, url],
                          capture_output=True, text=True, check=True)
    if re.search(r"Non-2xx|Socket errors", done.stdout):
        raise Refused(f"{url} answered with errors:\n{done.stdout}")
    latency, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", done.stdout).groups()
    return (float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1)),
            float(latency) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit])
