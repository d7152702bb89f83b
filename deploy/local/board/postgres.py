"""PostgreSQL 18 with pgvector, from the wheel: where it lives, who runs it, and one role and database per program.

It refuses to run as root. When root starts the platform, a system user of its own runs it, and where that user cannot
look into the checkout (below /root, say) the installation is copied and the data kept under /var/lib instead.
"""

import grp
import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from .instance import SERVICES, SETUP, Instance, Refused, database_name, upper

USER = "switchboard-postgres"


class Postgres:
    def __init__(self, instance: Instance):
        self.instance = instance
        self.account = self._account() if os.geteuid() == 0 else None
        self.install, self.home = self._places()
        self.data = self.home / "data"

    # ---- who and where

    @staticmethod
    def _account() -> pwd.struct_passwd:
        try:
            return pwd.getpwnam(USER)
        except KeyError:
            command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
                       "--shell", "/usr/sbin/nologin", USER]
            made = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"LC_ALL": "C"})
            if made.returncode != 0:
                raise Refused(f"PostgreSQL cannot run as root, and making the user {USER} failed: {made.stderr}")
            return pwd.getpwnam(USER)

    @property
    def runs_as(self) -> dict:
        """Arguments for `subprocess` that make the child the unprivileged user (nothing when we are one already)."""
        if self.account is None:
            return {}
        group = grp.getgrgid(self.account.pw_gid).gr_gid
        return {"user": self.account.pw_uid, "group": group, "extra_groups": [], "cwd": "/"}

    def _reaches(self, path: Path) -> bool:
        return subprocess.run(["test", "-x", str(path)], **self.runs_as).returncode == 0

    def _places(self) -> tuple[Path, Path]:
        install = (SETUP / "postgresql").resolve()
        if not install.exists():
            raise Refused("PostgreSQL is not unpacked yet: run deploy/local/setup")
        home = self.instance.directory / "postgres"
        home.mkdir(parents=True, exist_ok=True)
        if self.account is None:
            return install, home
        if not self._reaches(install / "bin" / "postgres"):
            install = self._copied(install)
        if not self._reaches(self.instance.directory):
            mark = hashlib.sha256(str(self.instance.directory).encode()).hexdigest()[:12]
            home = Path("/var/lib") / f"switchboard-{mark}"
            home.mkdir(mode=0o711, exist_ok=True)
            (self.instance.directory / "postgres" / "ELSEWHERE").write_text(f"{home}\n")
        return install, home

    @staticmethod
    def _copied(install: Path) -> Path:
        """The wheel's executables find their libraries relative to themselves, so both folders move together."""
        package = install.parent
        mark = hashlib.sha256(f"{install}{install.stat().st_mtime_ns}".encode()).hexdigest()[:12]
        copy = Path("/var/lib") / f"switchboard-postgresql-{mark}"
        if not copy.exists():
            making = copy.with_suffix(f".{os.getpid()}")
            shutil.copytree(install, making / package.name / install.name, symlinks=True)
            libraries = package.parent / f"{package.name}.libs"
            if libraries.exists():
                shutil.copytree(libraries, making / libraries.name, symlinks=True)
            making.chmod(0o755)
            making.rename(copy)
        return copy / package.name / install.name

    # ---- the cluster

    def initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # an initdb that was interrupted
        self.data.mkdir(mode=0o700)
        password = self.home / "password"
        password.write_text(self.instance.settings["POSTGRES_PASSWORD"] + "\n")
        password.chmod(0o600)
        if self.account is not None:
            for path in (self.data, password):
                os.chown(path, self.account.pw_uid, self.account.pw_gid)
        try:
            command = [self.install / "bin" / "initdb", "-D", self.data, "-U", "postgres", f"--pwfile={password}",
                       "--auth=scram-sha-256", "-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                       "--locale=C"]
            done = subprocess.run(command, capture_output=True, text=True, **self.runs_as)
        finally:
            password.unlink()
        if done.returncode != 0:
            shutil.rmtree(self.data, ignore_errors=True)
            raise Refused(f"initdb failed:\n{done.stdout}{done.stderr}")

    def remove(self) -> None:
        """Everything this cluster holds. Only for instances that were made to be thrown away."""
        if self.instance.is_default:
            raise Refused("the default instance's data is not removed by a program")
        shutil.rmtree(self.data, ignore_errors=True)
        if self.home.parent == Path("/var/lib"):
            shutil.rmtree(self.home, ignore_errors=True)

    def command(self) -> list[str]:
        cores = os.cpu_count() or 1
        options = {
            "port": self.instance.port("POSTGRES_PORT"),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a deep checkout makes a socket path longer than the kernel takes
            "max_connections": max(300, 48 * cores),  # six programs, four connections a loop, one loop a core
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "log_line_prefix": "%m [%p] %d ",
            # Committed means on disk. Only throw-away clusters may trade that for speed.
            "fsync": self.instance.settings.get("SWITCHBOARD_FSYNC", "on"),
        }
        command = [str(self.install / "bin" / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        return command

    def answers(self) -> bool:
        command = [self.install / "bin" / "pg_isready", "-q", "-h", "127.0.0.1",
                   "-p", str(self.instance.port("POSTGRES_PORT"))]
        return subprocess.run(command).returncode == 0

    def psql(self, sql: str) -> None:
        """Runs a script as the superuser. The password travels in the environment, the script on standard input:
        nothing of either shows in a process list."""
        command = [self.install / "bin" / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                   "-p", str(self.instance.port("POSTGRES_PORT")), "-U", "postgres", "-d", "postgres"]
        environment = {"PGPASSWORD": self.instance.settings["POSTGRES_PASSWORD"], "PGCONNECT_TIMEOUT": "10"}
        done = subprocess.run(command, input=sql, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            raise Refused(f"psql failed: {done.stderr.strip()}")

    # ---- what is in it

    def create_databases(self) -> None:
        """One role and one database per program; a role can connect to its own database and to no other."""
        script = ["REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC;"]
        for program in SERVICES:
            name = database_name(program)
            password = self.instance.settings[f"{upper(program)}_DATABASE_PASSWORD"]
            script.append(f"""
                SELECT 'CREATE ROLE {name} LOGIN'
                 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
                ALTER ROLE {name} PASSWORD '{password}';
                SELECT 'CREATE DATABASE {name} OWNER {name}'
                 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
                REVOKE ALL ON DATABASE {name} FROM PUBLIC;""")
        # The one extension, and only a superuser may create it.
        script.append("\\connect switchboard_knowledge\nCREATE EXTENSION IF NOT EXISTS vector;")
        self.psql("\n".join(script))

    def create_test_role(self) -> str:
        """For `make test`: a role whose databases are born with `vector`. Returns its URL."""
        password = self.instance.settings["POSTGRES_PASSWORD"]
        self.psql(f"""
            CREATE ROLE switchboard_tests LOGIN CREATEDB CREATEROLE PASSWORD '{password}';
            GRANT pg_signal_backend TO switchboard_tests;
            GRANT CONNECT ON DATABASE postgres TO switchboard_tests;
            \\connect template1
            CREATE EXTENSION IF NOT EXISTS vector;""")
        port = self.instance.port("POSTGRES_PORT")
        return f"postgresql://switchboard_tests:{password}@127.0.0.1:{port}/postgres"
