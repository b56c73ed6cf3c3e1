"""Starts and ends the programs of a local stack, each with all its children, and remembers them across a crash."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import urllib3


class LocalError(Exception):
    """Why the local stack does not come up, in words for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Program:
    """A process that leads a group of its own; `started` tells it from a later one with the same id."""

    name: str
    pid: int
    started: str

    @property
    def is_running(self) -> bool:
        """Whether the leader is this program still."""
        return self.started == _start_time(self.pid)

    @property
    def is_gone(self) -> bool:
        """Whether nobody has this process id."""
        return _start_time(self.pid) == ""


def this_program(name: str) -> Program:
    """The running interpreter itself."""
    return Program(name, os.getpid(), _start_time(os.getpid()))


def start(name: str, command: Sequence[str | Path], *, env: Mapping[str, str], log: Path, cwd: Path) -> Program:
    """Start a program in the background, in a session of its own, so that a Ctrl-C reaches only who manages it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return Program(name, process.pid, _start_time(process.pid))


def run(command: Sequence[str | Path], *, env: Mapping[str, str], log: Path, cwd: Path) -> None:
    """Run a program to its end.

    Raises:
        LocalError: It failed; the message ends with the last lines it wrote.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        status = process.wait()
    except BaseException:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if status:
        lines = log.read_text(errors="replace").replace("\r", "\n").splitlines()
        tail = "\n".join(f"    {line}" for line in lines[-25:])
        msg = f"{Path(command[0]).name} ended with status {status}:\n{tail}\n  all of it: {log}"
        raise LocalError(msg)


def end(programs: Sequence[Program], *, seconds: float = 5.0) -> None:
    """End these programs and all they started, by force after some seconds; returns when they are gone."""
    groups = _living_groups()
    # A leader that is gone may have left children; its id is not given away while its group lives.
    known = [program for program in programs if program.is_running or (program.is_gone and program.pid in groups)]
    for program in known:
        _signal_group(program.pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and _living_groups() & {program.pid for program in known}:
        _reap()
        time.sleep(0.05)
    for program in known:
        _signal_group(program.pid, signal.SIGKILL)
    _reap()


def wait_until_healthy(program: Program, url: str, *, log: Path, seconds: float = 30.0) -> None:
    """Return once `url` answers 200.

    Raises:
        LocalError: The program ended, or did not answer in time.
    """
    deadline = time.monotonic() + seconds
    with urllib3.PoolManager(retries=False, timeout=2.0) as http:
        while time.monotonic() < deadline:
            _reap()
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if http.request("GET", url).status == 200:
                    return
            if not program.is_running:
                tail = "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-15:])
                msg = f"{program.name} ended while it started:\n{tail}"
                raise LocalError(msg)
            time.sleep(0.1)
    msg = f"{program.name} did not answer on {url} within {seconds:.0f} s; its log is {log}"
    raise LocalError(msg)


def is_free(port: int) -> bool:
    """Whether nothing listens on the loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def find_free_ports(count: int) -> int:
    """The first of `count` free loopback ports in a row."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        if first + count < 65536 and all(is_free(first + offset) for offset in range(count)):
            return first
    raise LocalError("no free ports in a row were found")


def remember(path: Path, programs: Sequence[Program]) -> None:
    """Write down what runs, so that `make stop` finds it even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(program) for program in programs], indent=2))


def recall(path: Path) -> list[Program]:
    """What was written down."""
    try:
        return [Program(**entry) for entry in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def _start_time(pid: int) -> str:
    """Clock ticks from boot to the start of a process; empty for one that has ended."""
    fields = _stat(Path(f"/proc/{pid}"))
    return fields[19] if fields else ""


def _living_groups() -> set[int]:
    processes = (_stat(folder) for folder in Path("/proc").iterdir() if folder.name.isdecimal())
    return {int(fields[2]) for fields in processes if fields}


def _stat(process: Path) -> list[str]:
    """What the kernel says of a process, from its state on; nothing where it has ended, collected or not."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] == "Z" else fields


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _reap() -> None:
    """Collect the children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
