"""The supervisor, PostgreSQL and the broker for real; only the programs are stand-ins."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
COMMAND = HERE.parent / "switchboard"
sys.path.insert(0, str(HERE.parent))

from board.instance import SERVICES, Instance
from board.postgres import Postgres


class Board:
    def __init__(self, folder: Path, binaries: Path):
        self.folder, self.binaries = folder, binaries

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([COMMAND, "--instance", self.folder, "--binaries", self.binaries, *arguments],
                              capture_output=True, text=True, timeout=120)

    @property
    def instance(self) -> Instance:
        return Instance(self.folder, self.binaries)

    def pid(self, program: str) -> int:
        return int((self.folder / "run" / f"{program}.pid").read_text())

    def pids(self) -> list[int]:
        return [int(file.read_text()) for file in (self.folder / "run").glob("*.pid")]


def eventually(what, seconds: float = 20):
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)
    return value


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def binaries(tmp_path_factory):
    folder = tmp_path_factory.mktemp("binaries")
    for name in [*SERVICES, "gateway", "carrier-simulator"]:
        shutil.copy(HERE / "stand_in.py", folder / name)
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def board(binaries):
    """One platform for all of them: each test takes it up or down as it needs."""
    # Below .local/test rather than below /tmp, where nobody else may look into pytest's folders.
    made = Board(HERE.parents[2] / ".local" / "test" / "board", binaries)
    made("down")
    shutil.rmtree(made.folder, ignore_errors=True)
    yield made
    made("down")
    Postgres(made.instance).remove()
    shutil.rmtree(made.folder, ignore_errors=True)


def up(board: Board, *more: str) -> subprocess.CompletedProcess:
    """With `more` settings it starts anew; otherwise what runs already will do."""
    if more:
        board("down")
    return board("up", "--free-ports", "--no-sample-data", "--set", "SWITCHBOARD_FSYNC=off", *more)


@pytest.fixture
def crashing(board):
    """A program that crashes when started, for one test."""
    yield lambda program, status="1": up(
        board, "--set", f"STAND_IN_CRASH={program}", "--set", f"STAND_IN_STATUS={status}")
    board("down")
    instance = board.instance
    instance.settings["STAND_IN_CRASH"] = ""
    instance.write()


def test_up_returns_when_everything_is_ready_and_down_leaves_nothing(board):
    done = up(board)
    assert done.returncode == 0, done.stderr
    assert board.instance.url in done.stdout
    assert board("status").returncode == 0
    assert board("status").stdout.count(" ready ") == 10
    pids = board.pids()
    assert len(pids) == 10
    assert board("down").stdout == "stopped\n"
    assert [pid for pid in pids if alive(pid)] == []
    assert board("status").returncode == 3


def test_a_second_up_finds_the_first(board):
    assert up(board).returncode == 0
    pids = sorted(board.pids())
    assert "already up" in up(board).stdout
    assert sorted(board.pids()) == pids


def test_down_status_and_logs_say_the_same_a_second_time(board):
    assert up(board).returncode == 0
    assert board("logs", "telephony", "gateway").returncode == 0
    absent = board("logs", "nobody")
    assert absent.returncode != 0 and "no log of nobody" in absent.stderr
    assert board("down").stdout == "stopped\n"
    for _ in range(2):
        done = board("down")
        assert done.returncode == 0 and done.stdout == "not up\n"
        done = board("status")
        assert done.returncode == 3 and done.stdout == "not up\n"
    assert board("logs").returncode == 0, "what happened can be read afterwards"


def test_logs_of_a_platform_that_never_ran_are_no_riddle(binaries, tmp_path):
    fresh = Board(tmp_path / "fresh", binaries)
    done = fresh("logs")
    assert done.returncode != 0 and "make up" in done.stderr


def test_secrets_survive_a_restart_and_are_for_the_owner_only(board):
    up(board)
    before = board.folder.joinpath("env").read_text(), board("credentials").stdout
    board("down")
    up(board)
    assert (board.folder.joinpath("env").read_text(), board("credentials").stdout) == before
    for name in ("env", "credentials.json"):
        assert (board.folder / name).stat().st_mode & 0o077 == 0
    assert set(json.loads(before[1])) == {"admin", "user", "agent"}


@pytest.mark.parametrize("program", ["billing", "postgres", "broker", "gateway"])
def test_what_is_killed_comes_back(board, program):
    up(board)
    old = board.pid(program)
    assert board("kill", program).returncode == 0
    eventually(lambda: board("status").returncode == 0 and board.pid(program) != old)
    assert not alive(old)


def test_everything_ends_with_the_supervisor_even_when_it_is_killed(board):
    up(board)
    pids = board.pids()
    postgres = board.pid("postgres")
    supervisor = int(Path(f"/proc/{postgres}/stat").read_text().rsplit(")", 1)[1].split()[1])
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert up(board).returncode == 0


def test_a_program_that_keeps_crashing_stops_the_start_with_its_own_words(board, crashing):
    done = crashing("knowledge")
    assert done.returncode == 1
    assert "knowledge ended" in done.stderr and "told to crash" in done.stderr
    assert board("status").returncode == 3


def test_a_program_with_bad_settings_is_not_tried_again(crashing):
    done = crashing("gateway", "78")
    assert done.returncode == 1
    assert "exit status 78" in done.stderr and "times within" not in done.stderr


def test_a_taken_port_is_refused_by_number_and_setting(board):
    up(board)
    board("down")
    port = board.instance.port("REALTIME_PORT")
    with socket.socket() as taken:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # as the programs listen
            taken.setsockopt(socket.SOL_SOCKET, option, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = board("up", "--no-sample-data")
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr and "REALTIME_PORT" in done.stderr


def test_a_role_enters_its_own_database_and_no_other(board):
    up(board)
    psql = Postgres(board.instance).install / "bin" / "psql"

    def enters(role: str, database: str) -> bool:
        url = board.instance.database_url(role).rsplit("/", 1)[0] + "/" + database
        return subprocess.run([psql, "-X", "-d", url, "-c", "SELECT 1"], capture_output=True).returncode == 0

    assert enters("auth", "switchboard_auth")
    for other in ("switchboard_billing", "switchboard_knowledge", "postgres", "template1"):
        assert not enters("auth", other)


def test_a_program_gets_its_own_secrets_and_nothing_of_the_shell(board, monkeypatch):
    monkeypatch.setenv("STRAY_VARIABLE", "1")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "ACsomebodysrealaccount")
    board("down")
    up(board)
    with urllib.request.urlopen(f"http://127.0.0.1:{board.instance.port_of('billing')}/environment") as answer:
        environment = json.load(answer)
    assert environment["DATABASE_URL"] == board.instance.database_url("billing")
    assert "STRAY_VARIABLE" not in environment and "POSTGRES_PASSWORD" not in environment
    assert environment["TWILIO_ACCOUNT_SID"] != "ACsomebodysrealaccount"
    assert environment["TWILIO_API_URL"] == board.instance.simulator_url
    assert not [name for name in environment if name.endswith("_DATABASE_PASSWORD")]


def test_commands_of_the_programs_run_in_each_or_in_one(board):
    up(board)
    assert board("dead", "list").stdout.count(" dead list") == len(SERVICES)
    assert board("replay", "--since", "2026-01-01T00:00:00Z", "--program", "auth").stdout == (
        "auth:\nauth replay --since 2026-01-01T00:00:00Z\n")
    assert "no program 'nobody'" in board("dead", "list", "--program", "nobody").stderr
