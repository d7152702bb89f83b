"""Programs with settings they cannot use: everything is told at once, and nothing starts."""

import os
import subprocess
from pathlib import Path

import pytest
import requests

from outside.programs import Extra, Instance

BAD = {
    "auth": ({"PORT": "70000", "DATABASE_URL": "mysql://nowhere", "SECRET_KEY": "short", "KAFKA_BROKERS": "",
              "KAFKA_PROFILE": "moon", "KAFKA_OPTIONS": "nonsense", "LOG_LEVEL": "loud", "PUBLIC_URL": "localhost"}, set()),
    "billing": ({"FREE_PLAN_AGENT_LIMIT": "-1", "FREE_PLAN_CALL_LIMIT": "many", "DATABASE_URL": "",
                 "AUTH_URLS": "nonsense"}, set()),
    "telephony": ({"TWILIO_PHONE_NUMBER": "four", "CALLS_CONCURRENT_MAX": "0", "KNOWLEDGE_WITHIN": "soon",
                   "TWILIO_API_URL": "nowhere", "DATABASE_POOL": "1000", "FREE_PLAN_AGENT_LIMIT": "-1"}, set()),
    "gateway": ({"TLS_CERTIFICATE": "/nowhere.pem", "TLS_KEY": "", "TELEPHONY_URLS": "https://inside",
                 "RATE_LIMIT_STANDARD_PER_MINUTE": "-5", "INTERNAL_PORT": "x", "LOOPS": "many"}, {"TLS_CERTIFICATE"}),
}


@pytest.mark.parametrize("name", BAD)
def test_every_missing_or_bad_setting_is_named_at_once(platform, name):
    bad, fine = BAD[name]
    instance = Instance(platform.directory, Path(os.environ["SWITCHBOARD_BINARIES"]))
    environment = {key: value for key, value in (instance.environment(name) | bad).items() if value != ""}
    done = subprocess.run([str(instance.binaries / name), "serve"], env=environment, capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 78, done.stdout + done.stderr
    named = {line.split()[0] for line in done.stderr.splitlines() if line.startswith("  ")}
    assert named == bad.keys() - fine, done.stderr


def test_the_gateway_speaks_tls_when_it_has_a_certificate(platform, tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True)
    with Extra(platform, "gateway", tmp_path / "gateway.log", TLS_CERTIFICATE=str(certificate),
               TLS_KEY=str(key)) as gateway:
        gateway.url = f"https://localhost:{gateway.port}"
        gateway.trust = str(certificate)
        gateway.ready()
        answer = requests.get(gateway.url + "/api/v1/calls", verify=gateway.trust, timeout=10)
        assert answer.status_code == 401, "the programs behind it are reached all the same"
