"""/metrics: what is promised to be measured is, and what the alerts watch exists."""

import re

import pytest
import requests

from outside.platform import PROGRAMS, ROOT

# By program: whoever has a database has a pool and an outbox, whoever consumes has a lag.
EVERYBODY = {"http_request_duration_seconds", "http_responses_total", "event_loop_lag_seconds",
             "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"}
DATABASE = {"postgres_connections_in_use", "postgres_pool_waiting", "postgres_pool_wait_seconds",
            "postgres_query_seconds", "postgres_connect_failures_total", "postgres_pool_refusals_total",
            "switchboard_outbox_rows", "switchboard_outbox_age_seconds"}
CONSUMER = {"switchboard_consumer_lag", "switchboard_events_handled_total"}
CONSUMERS = {"billing", "telephony", "qa-analytics", "knowledge", "realtime"}


def shown(platform, program: str) -> str:
    if program == "gateway":
        return requests.get(f"http://127.0.0.1:{platform.settings['GATEWAY_INTERNAL_PORT']}/metrics", timeout=10).text
    return requests.get(platform.internal_url(program) + "/metrics", timeout=10).text


def families(text: str) -> set[str]:
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))


@pytest.mark.parametrize("program", [*PROGRAMS, "gateway"])
def test_a_program_shows_what_it_measures(platform, program, owner, carrier):
    expected = set(EVERYBODY)
    if program != "gateway":
        expected |= DATABASE
    if program in CONSUMERS:
        expected |= CONSUMER
    if program == "gateway":
        expected |= {"switchboard_proxy_duration_seconds", "switchboard_sockets", "switchboard_upstream_failures_total"}
    if program == "telephony":
        carrier.ring(owner.number()["phone_number"]).answer().say("Hello there.")  # there is a turn to measure
        expected |= {"telephony_live_conversations", "telephony_first_token_seconds", "telephony_turn_overhead_seconds"}
    assert expected <= families(shown(platform, program)), expected - families(shown(platform, program))


def test_requests_are_measured_by_route(platform, owner):
    owner.get("/api/v1/calls")
    text = shown(platform, "telephony")
    assert re.search(r'http_request_duration_seconds_bucket\{[^}]*route="/api/v1/calls"', text), text[:3000]


def test_every_metric_an_alert_watches_exists(platform):
    alerts = (ROOT / "deploy" / "observability" / "alerts.yml").read_text()
    expressions = re.findall(r"expr: (?:>\s*\n\s+)?(.+(?:\n\s{10,}.+)*)", alerts)
    assert len(expressions) >= 8
    watched = set(re.findall(r"\b((?:http|event_loop|process|postgres|switchboard|kafka|telephony)_\w+)",
                             "\n".join(expressions)))
    watched = {re.sub(r"_(bucket|count|sum)$", "", name) for name in watched}
    exists = set().union(*(families(shown(platform, program)) for program in [*PROGRAMS, "gateway"]))
    assert watched and watched <= exists, watched - exists
