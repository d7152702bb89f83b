"""The process that owns the platform: starts everything in order, restarts what dies, stops it in reverse.

It is one asyncio loop. Each program has a `Keeper`; a Unix socket takes the commands of `deploy/local/switchboard`.
Its children die with it (PR_SET_PDEATHSIG), so nothing is ever left behind for somebody else to find and kill.
"""

import asyncio
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path

from . import programs
from .instance import PORTS, ROOT, SERVICES, Instance, Refused
from .postgres import Postgres
from .programs import Program

READY_SECONDS = 60  # to become ready: a database recovering after a power cut takes tens of seconds
MIGRATE_SECONDS = 300
DEATHS_MAX = 6  # within DEATHS_SECONDS: then it stays down and says why
DEATHS_SECONDS = 30
WAITS = [0.0, 0.2, 0.5, 1.0, 2.0]  # before the first, second … restart in a row
LOG_BYTES_MAX = 64 * 1024 * 1024
MISCONFIGURED = 78  # EX_CONFIG: a program's settings are missing or bad; trying again changes nothing

libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(stop: signal.Signals, parent: int):
    def set_it() -> None:
        libc.prctl(1, int(stop), 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)  # the parent was gone before we asked
    return set_it


def tail(file: Path, lines: int) -> str:
    if not file.exists():
        return ""
    with file.open("rb") as log:
        log.seek(max(0, file.stat().st_size - 64 * 1024))
        return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])


def last_words(file: Path) -> str:
    """What a program said before it ended: its trap's message when it crashed, else its last lines."""
    text = tail(file, 400)
    for mark in ("Fatal error", "Precondition failed", "Assertion failed", "Program crashed"):
        lines = text.splitlines()
        for number in range(len(lines) - 1, -1, -1):
            if mark in lines[number]:
                crash = [line for line in lines[number:number + 60] if line.strip() and "[system]" not in line]
                return "\n".join(crash[:16])
    return tail(file, 12)


class Keeper:
    """Keeps one program running. `state`: stopped, starting, running, waiting (to restart), failed."""

    def __init__(self, program: Program, instance: Instance, tell):
        self.program = program
        self.log = instance.log / f"{program.name}.log"
        self.pid_file = instance.run / f"{program.name}.pid"
        self.tell = tell
        self.state = "stopped"
        self.reason = ""
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0.0
        self.restarts = 0
        self.deaths: list[float] = []
        self.wanted = False
        self.task: asyncio.Task | None = None

    def start(self) -> None:
        if self.task is None or self.task.done():
            self.wanted, self.state, self.reason, self.deaths = True, "starting", "", []
            self.task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while self.wanted:
            await self._spawn()
            code = await self.process.wait()
            self.pid_file.unlink(missing_ok=True)
            if not self.wanted:
                break
            if not self._may_restart(code):
                return
            self.state = "waiting"
            await asyncio.sleep(WAITS[min(len(self.deaths) - 1, len(WAITS) - 1)])
            self.restarts += 1
        self.state = "stopped"

    async def _spawn(self) -> None:
        program = self.program
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *program.command, env=program.environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=die_with_parent(program.stop_signal, os.getpid()),
                **({"cwd": ROOT} | program.runs_as))
        self.started = time.time()
        self.pid_file.write_text(f"{self.process.pid}\n")
        self.state = "running"

    def _may_restart(self, code: int) -> bool:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        now = time.monotonic()
        self.deaths = [at for at in self.deaths if now - at < DEATHS_SECONDS] + [now]
        self.tell(f"{self.program.name} ended: {how}")
        if code == MISCONFIGURED or len(self.deaths) >= DEATHS_MAX:
            often = "" if code == MISCONFIGURED else f" {len(self.deaths)} times within {DEATHS_SECONDS} s"
            self.reason = f"{self.program.name} ended{often} ({how}); see {self.log}:\n{last_words(self.log)}"
            self.state = "failed"
            self.tell(f"{self.program.name} is not started again")
            return False
        return True

    async def ready(self, seconds: float) -> None:
        """Returns when the program says it is ready; raises with its reason when it gives up or time runs out."""
        deadline = time.monotonic() + seconds
        while True:
            if self.state == "failed":
                raise Refused(self.reason)
            reason = await asyncio.to_thread(self.program.ready) if self.state == "running" else self.state
            if reason is None and self.state == "running":
                return
            if time.monotonic() > deadline:
                raise Refused(f"{self.program.name} was not ready after {seconds:.0f} s: {reason}; "
                              f"the end of {self.log}:\n{tail(self.log, 12)}")
            await asyncio.sleep(0.1)

    def signal(self, which: signal.Signals) -> bool:
        if self.process is None or self.process.returncode is not None:
            return False
        self.process.send_signal(which)
        return True

    async def stop(self) -> None:
        self.wanted = False
        if self.signal(self.program.stop_signal):
            try:
                await asyncio.wait_for(self.process.wait(), self.program.stop_seconds)
            except asyncio.TimeoutError:
                self.tell(f"{self.program.name} did not stop within {self.program.stop_seconds} s: killed")
                self.signal(signal.SIGKILL)
        if self.task is not None:
            if self.state == "waiting":
                self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        self.pid_file.unlink(missing_ok=True)
        self.state = "stopped"

    async def restart(self) -> None:
        await self.stop()
        self.restarts += 1
        self.start()
        await self.ready(READY_SECONDS)

    async def status(self) -> dict:
        alive = self.process is not None and self.process.returncode is None
        reason = await asyncio.to_thread(self.program.ready) if self.state == "running" else self.reason
        return {
            "name": self.program.name, "state": "ready" if alive and reason is None else self.state,
            "pid": self.process.pid if alive else None, "port": self.program.port, "restarts": self.restarts,
            "seconds": int(time.time() - self.started) if alive else 0, "reason": reason,
            "megabytes": resident(self.process.pid) if alive else 0,
        }


def resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // (1024 * 1024)
    except OSError:
        return 0


class Supervisor:
    def __init__(self, instance: Instance, only_infrastructure: bool):
        self.instance = instance
        self.postgres = Postgres(instance)
        self.only_infrastructure = only_infrastructure
        self.keepers: dict[str, Keeper] = {}
        self.phase = "starting"  # what it is doing now, in words a person waiting can read
        self.failure = ""
        self.done = asyncio.Event()

    def tell(self, text: str) -> None:
        print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)

    # ---- up

    async def boot(self) -> None:
        self.phase = "PostgreSQL and the broker"
        await asyncio.to_thread(self.postgres.initialise)
        await self.bring_up(programs.infrastructure(self.instance, self.postgres))
        await asyncio.to_thread(self.postgres.create_databases)
        if not self.only_infrastructure:
            self.phase = "migrations"
            await asyncio.gather(*(self.migrate(name) for name in SERVICES))
            self.phase = "programs"
            await self.bring_up(programs.services(self.instance))
            self.phase = "gateway"
            await self.bring_up(programs.edge(self.instance))
        self.phase = "ready"
        self.tell("ready")

    async def bring_up(self, group: list[Program]) -> None:
        keepers = [Keeper(program, self.instance, self.tell) for program in group]
        for keeper in keepers:
            self.keepers[keeper.program.name] = keeper
            keeper.start()
        await asyncio.gather(*(keeper.ready(READY_SECONDS) for keeper in keepers))

    async def migrate(self, name: str) -> None:
        log = self.instance.log / f"{name}.log"
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                str(self.instance.binaries / name), "migrate", env=self.instance.environment(name), cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=file,
                preexec_fn=die_with_parent(signal.SIGTERM, os.getpid()))
        try:
            code = await asyncio.wait_for(process.wait(), MIGRATE_SECONDS)
        except asyncio.TimeoutError:
            process.kill()
            raise Refused(f"{name} migrate took longer than {MIGRATE_SECONDS} s") from None
        if code != 0:
            raise Refused(f"{name} migrate failed (exit status {code}); the end of {log}:\n{tail(log, 12)}")

    # ---- down

    async def shut_down(self) -> None:
        self.phase = "stopping"
        order = [["carrier-simulator"], ["gateway"], SERVICES, ["broker"], ["postgres"]]
        for names in order:
            await asyncio.gather(*(self.keepers[name].stop() for name in names if name in self.keepers))

    # ---- commands

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await asyncio.wait_for(reader.readline(), 5))
            try:
                reply = await self.obey(request)
            except Refused as refused:
                reply = {"error": str(refused)}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        except (ValueError, OSError, asyncio.TimeoutError, asyncio.CancelledError):
            pass  # whoever asked has left, or we are going
        finally:
            writer.close()

    async def obey(self, request: dict) -> dict:
        match request.get("do"):
            case "status":
                states = await asyncio.gather(*(keeper.status() for keeper in self.keepers.values()))
                return {"phase": self.phase, "failure": self.failure, "url": self.instance.url, "programs": states}
            case "restart":
                keeper = self.named(request)
                await keeper.restart()
                return {"pid": keeper.process.pid}
            case "kill":
                keeper = self.named(request)
                pid = keeper.process.pid if keeper.process else None
                if not keeper.signal(signal.SIGKILL):
                    raise Refused(f"{keeper.program.name} is not running")
                return {"pid": pid}
            case "stop":
                self.done.set()
                return {}
        raise Refused("unknown command")

    def named(self, request: dict) -> Keeper:
        if (name := request.get("program")) not in self.keepers:
            raise Refused(f"no program '{name}'; there are {', '.join(self.keepers)}")
        return self.keepers[name]

    # ---- the loop

    async def trim_logs(self) -> None:
        """Keeps one older generation. The programs append, so emptying the file under them is safe."""
        while True:
            for log in self.instance.log.glob("*.log"):
                if log.stat().st_size > LOG_BYTES_MAX:
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)
            await asyncio.sleep(30)

    async def main(self) -> int:
        loop = asyncio.get_running_loop()
        for which in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(which, self.done.set)
        control = await asyncio.start_unix_server(self.answer, sock=control_socket(self.instance))
        trimming = asyncio.create_task(self.trim_logs())
        booting = asyncio.create_task(self.boot())
        stopping = asyncio.create_task(self.done.wait())
        await asyncio.wait({booting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if booting.done() and (error := booting.exception()) is not None:
            self.failure = str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
            self.tell(f"failed: {self.failure}")
            (self.instance.run / "failure").write_text(self.failure)
        else:
            await stopping
        booting.cancel()
        trimming.cancel()
        await self.shut_down()
        control.close()
        self.tell("stopped")
        return 1 if self.failure else 0


def control_socket(instance: Instance) -> socket.socket:
    """A socket's path may have 107 bytes; through the open folder's descriptor it stays short anywhere."""
    folder = os.open(instance.run, os.O_RDONLY | os.O_DIRECTORY)
    (instance.run / "control").unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"/proc/self/fd/{folder}/control")
    (instance.run / "control").chmod(0o600)
    os.close(folder)
    return listener


def refuse_taken_ports(instance: Instance, names: list[str]) -> None:
    """A listener with SO_REUSEPORT would share a taken port and get half of the requests: look before starting."""
    taken = []
    for name in names:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", instance.port(name)))
            except OSError:
                taken.append(f"port {instance.port(name)} is taken by another process (setting {name}: "
                             f"`make up {name}=…` chooses another)")
    if taken:
        raise Refused("\n".join(taken))


def supervise(instance: Instance, only_infrastructure: bool) -> int:
    """Runs until told to stop. The lock says that this instance is up; it goes with the process, however it ends."""
    lock = (instance.run / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refused("this instance is up already") from None
    (instance.run / "failure").unlink(missing_ok=True)
    infrastructure = ["POSTGRES_PORT", "BROKER_PORT"]
    try:
        refuse_taken_ports(instance, infrastructure if only_infrastructure else list(PORTS))
        return asyncio.run(Supervisor(instance, only_infrastructure).main())
    except Refused as refused:
        (instance.run / "failure").write_text(str(refused))
        raise
