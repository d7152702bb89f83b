"""`make test`: every test there is, on private infrastructure, closed by one line that says how it went.

    tests: N passed, N failed, N skipped

First whether the sources are formatted (`make lint`); then the Swift tests, against a PostgreSQL and a broker of their
own; then those of the local platform itself; then a whole platform on free ports from the same build, and the acceptance
and flow tests (pytest, official clients) against its gateway. Nothing here shares a port, a directory or a process with
`make up`. No test found at all counts as a failure.
"""

import argparse
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as XML
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sample_data
from board import control, people
from board.instance import ROOT, SETUP, Instance, Refused
from board.postgres import Postgres

PLACE = SETUP / "test"
RESULTS = PLACE / "results"
LINT_SECONDS = 5 * 60
BUILD_SECONDS = 25 * 60
SWIFT_SECONDS = 12 * 60
PYTEST_SECONDS = 12 * 60
FAULTS_SECONDS = 25 * 60

# Suites whose members of Kafka groups, or leases, have to be renewed in time, and the one whose members come and go: the
# embedded broker was seen to leave three of them waiting while forty other groups came and went.
TIMED = "^(KafkaTests|MessagingTests|GatewayTests\\.CountersTests)[./]"
MEMBERS = "^MessagingTests\\.ConsumerTests"

# The thread sanitizer and librdkafka's own threads do not get along: it stops in code that is not ours. These suites,
# and one test of another, start such threads; everything else runs.
USES_KAFKA = [
    "^(KafkaTests.(Producer|Subscription|Topics)|MessagingTests.(Broadcast|Consumer|EmptyBroker|Outbox)"
    "|AccessTests.LoadedRevocation)Tests",
    "a row whose day has no partition is kept and published",
]


@dataclass
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    notes: list[str] = field(default_factory=list)  # what failed, told again at the end

    def fail(self, note: str) -> None:
        self.failed += 1
        self.notes.append(note)

    def close(self) -> int:
        if self.passed + self.failed == 0:
            self.fail("not a single test ran")
        for note in self.notes:
            print(f"FAILED: {note}")
        print(f"tests: {self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed else 0


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def run(command: list, seconds: int, environment: dict[str, str]) -> int | None:
    """The exit status, or None when time ran out. Whatever the command started ends with it."""
    process = subprocess.Popen([str(each) for each in command], cwd=ROOT, env=environment, start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


# ---- platforms of our own


class Platform:
    """An instance below .local/test that exists inside a `with` and leaves only its logs."""

    def __init__(self, name: str, only_infrastructure: bool, binaries: Path | None = None):
        self.instance = Instance(PLACE / name, binaries)
        self.only_infrastructure = only_infrastructure

    def __enter__(self) -> Instance:
        instance = self.instance
        control.stop(instance)  # left by a run that was killed
        Postgres(instance).remove()
        shutil.rmtree(instance.directory, ignore_errors=True)
        instance.settings = {}
        # The data is thrown away minutes later, so PostgreSQL need not wait for the disk; and a test run asks more
        # than a hundred questions a minute. (test_limits.py starts a gateway that counts them.)
        instance.decide({"SWITCHBOARD_FSYNC": "off"} | {f"RATE_LIMIT_{each}_PER_MINUTE": "0" for each in (
            "STANDARD", "ANALYTICS", "ANONYMOUS")}, on_free_ports=True)
        control.launch(instance, self.only_infrastructure, quiet=True)
        return instance

    def __exit__(self, *error) -> None:
        control.stop(self.instance)
        Postgres(self.instance).remove()


def swift_environment(instance: Instance) -> dict[str, str]:
    """What Tests/TestSupport reads."""
    return os.environ | {
        "TEST_DATABASE_URL": Postgres(instance).create_test_role(),
        "TEST_KAFKA_BROKERS": instance.brokers,
        "TEST_BROKER_BINARY": str(SETUP / "broker"),
        "SENTIMENT_LEXICON": str(SETUP / "share" / "sentiment" / "vader_lexicon.txt"),
        "DOCS_ASSETS": str(SETUP / "share" / "docs"),
        "LD_LIBRARY_PATH": instance.library_path(),
    }


def pytest_environment(instance: Instance) -> dict[str, str]:
    """What Tests/acceptance and Tests/flows read; the instance's `env` file has the rest."""
    return os.environ | {
        "SWITCHBOARD_URL": instance.url,
        "SWITCHBOARD_CREDENTIALS": str(instance.credentials_file),
        "SWITCHBOARD_INSTANCE": str(instance.directory),
        "SWITCHBOARD_BINARIES": str(instance.binaries),
        "SWITCHBOARD_SIMULATOR_URL": instance.simulator_url,
        "SWITCHBOARD_COMMAND": str(ROOT / "deploy" / "local" / "switchboard"),
        "SEED": os.environ.get("SEED", "1"),
    }


# ---- counting


def count_swift(tally: Tally, folder: Path, code: int | None) -> None:
    """swift-testing writes names into its XML without escaping them, so only its totals can be read."""
    failed_before, ran = tally.failed, 0
    for file in folder.glob("*.xml"):
        text = file.read_text(errors="replace")
        tally.notes += re.findall(r'<testcase classname="[^"]*" name="(.*?)" time="[^"]*" >\s*<failure', text)
        for suite in re.findall(r"<testsuite\b[^>]*>", text):
            number = {name: int(value) for name, value in re.findall(r'\b(tests|failures|errors|skipped)="(\d+)"', suite)}
            failed = number.get("failures", 0) + number.get("errors", 0)
            ran += number.get("tests", 0)
            # A test may fail once for each of its arguments.
            tally.passed += max(0, number.get("tests", 0) - failed)
            tally.failed += failed
            tally.skipped += number.get("skipped", 0)
    if code is None:
        tally.fail(f"swift test was not done after {SWIFT_SECONDS // 60} minutes")
    elif code != 0 and tally.failed == failed_before:
        tally.fail(f"swift test ended with exit status {code}")
    elif ran == 0:
        tally.fail("swift test found no tests")


def count_pytest(tally: Tally, file: Path, code: int | None, seconds: int) -> None:
    failed_before = tally.failed
    if file.exists():
        root = XML.parse(file).getroot()
        tally.notes += [f"{case.get('classname')}.{case.get('name')}" for case in root.iter("testcase")
                        if case.find("failure") is not None or case.find("error") is not None]
        for suite in root.iter("testsuite"):
            number = {name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")}
            failed = number["failures"] + number["errors"]
            tally.failed += failed
            tally.skipped += number["skipped"]
            tally.passed += number["tests"] - failed - number["skipped"]
    if code is None:
        tally.fail(f"{file.stem} was not done after {seconds // 60} minutes")
    elif code != 0 and tally.failed == failed_before:
        tally.fail(f"{file.stem}: pytest ended with exit status {code}")


# ---- the runs


def swift_tests(tally: Tally, sanitized: bool, only: str | None = None) -> bool:
    """False when the programs did not even build. `only` filters suites and tests; an empty one means none of them."""
    scratch = ["--scratch-path", ROOT / ".build" / "tsan", "--sanitize=thread"] if sanitized else []
    say("building the programs and their tests" + (" with the thread sanitizer" if sanitized else ""))
    if (code := run(["swift", "build", "--build-tests", *scratch], BUILD_SECONDS, dict(os.environ))) != 0:
        tally.fail("the build failed" if code is not None else f"no build after {BUILD_SECONDS // 60} minutes")
        return False
    if only == "":
        return True
    say("the Swift tests")
    with Platform("swift", only_infrastructure=True) as instance:
        environment = swift_environment(instance)
        if only:
            parts = [("swift", [])]
        elif sanitized:
            # Everything takes ten times as long: all suites at once would run into their own time limits.
            parts = [(folder.name, ["--filter", f"^{folder.name}\\."]) for folder in sorted((ROOT / "Tests").glob("*Tests"))]
        else:
            # A broker gives a member up that says nothing for two seconds: these not beside tests that take all there is.
            parts = [("members", ["--filter", MEMBERS]), ("timed", ["--filter", TIMED, "--skip", MEMBERS]),
                     ("swift", ["--skip", TIMED])]
        for name, chosen in parts:
            (RESULTS / name).mkdir()
            command = ["swift", "test", "--skip-build", *scratch, "--xunit-output", RESULTS / name / "swift.xml", *chosen]
            if sanitized:
                command += [word for pattern in USES_KAFKA for word in ("--skip", pattern)]
            if only:
                command += ["--filter", only]
            count_swift(tally, RESULTS / name, run(command, SWIFT_SECONDS, environment))
    return True


def lint(tally: Tally) -> None:
    """Not a test, and not counted as one; but a source that `make fmt` would change fails the run."""
    say("the sources' format")
    if run(["make", "--silent", "lint"], LINT_SECONDS, dict(os.environ)) != 0:
        tally.fail("make lint: some sources are not formatted; `make fmt` does it")


def pytest(tally: Tally, folder: Path, environment: dict[str, str]) -> None:
    say(str(folder.relative_to(ROOT)))
    result = RESULTS / f"{folder.stem}.xml"
    command = [SETUP / "venv" / "bin" / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider",
               f"--junitxml={result}", folder]
    seconds = FAULTS_SECONDS if folder.name == "faults" else PYTEST_SECONDS
    count_pytest(tally, result, run(command, seconds, environment), seconds)


def platform_tests(tally: Tally, folders: list[str]) -> None:
    """Each a folder or a file below Tests."""
    say("a platform of its own, from the same build")
    with Platform("platform", only_infrastructure=False, binaries=ROOT / ".build" / "debug") as instance:
        people.create(instance)
        sample_data.create(instance)
        for name in folders:
            pytest(tally, ROOT / "Tests" / name, pytest_environment(instance))
        for program in control.ask(instance, do="status")["programs"]:
            if program["restarts"] and not any(name.startswith("faults") for name in folders):
                tally.fail(f"{program['name']} had to be restarted; its log is in {instance.log}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--tsan", action="store_true")
    which.add_argument("--faults", action="store_true")
    which.add_argument(
        "--only", metavar="WHAT", help="a pattern of Swift suites and tests (AuthTests), or a path below Tests (acceptance)")
    options = parser.parse_args()

    PLACE.mkdir(parents=True, exist_ok=True)
    lock = (PLACE / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another `make test` is running in this checkout")
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir()

    tally = Tally()
    try:
        if options.faults:
            say("building the programs")
            if run(["swift", "build"], BUILD_SECONDS, dict(os.environ)) == 0:
                platform_tests(tally, ["faults"])
            else:
                tally.fail("the build failed")
        elif options.only and (ROOT / "Tests" / options.only).exists() and not options.only.endswith("Tests"):
            if swift_tests(tally, sanitized=False, only=""):
                platform_tests(tally, [options.only])
        elif options.only:
            swift_tests(tally, sanitized=False, only=options.only)
        elif options.tsan:
            swift_tests(tally, sanitized=True)
        else:
            lint(tally)
            if not swift_tests(tally, sanitized=False):
                return tally.close()
            pytest(tally, ROOT / "deploy" / "local" / "tests", dict(os.environ))
            platform_tests(tally, ["acceptance", "flows"])
    except Refused as refused:
        tally.fail(str(refused))
    except KeyboardInterrupt:
        tally.fail("interrupted")
    return tally.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
