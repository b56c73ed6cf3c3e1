"""Programs with pins of their own, each in an environment of its own: the SAM CLI and the AWS emulator.

`python -m local.tools sam deploy …` runs one.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from local.processes import LocalError, run
from local.stack import PROJECT

_HOME = PROJECT / ".local" / "tools"
_PROGRAMS = {"sam": "sam", "ministack": "ministack"}


def install(tool: str) -> Path:
    """The program of a tool, installed from its lock if it is not yet."""
    lock = PROJECT / "local" / f"{tool}.lock"
    home = _HOME / f"{tool}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    program = home / "bin" / _PROGRAMS[tool]
    with exclusive(_HOME / f"{tool}.lock"):
        if not (home / "ready").exists():
            for outdated in _HOME.glob(f"{tool}-*"):
                shutil.rmtree(outdated, ignore_errors=True)
            uv, log, env = PROJECT / ".venv" / "bin" / "uv", _HOME / f"{tool}.log", tool_environment()
            run([str(uv), "venv", "--quiet", "--python", sys.executable, str(home)], env=env, log=log, cwd=PROJECT)
            sync = [str(uv), "pip", "sync", "--quiet", "--python", str(home / "bin" / "python")]
            run([*sync, "--require-hashes", str(lock)], env=env, log=log, cwd=PROJECT)
            (home / "ready").touch()
    return program


def tool_environment() -> dict[str, str]:
    """This process's environment, with the project's own python3.13 and uv first on PATH."""
    path = f"{PROJECT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0", "AWS_PAGER": ""}


@contextmanager
def exclusive(path: Path) -> Generator[None]:
    """One process at a time; several stacks may start at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Run the tool that the first argument names."""
    tool, *arguments = sys.argv[1:] or [""]
    if tool not in _PROGRAMS:
        print(f"python -m local.tools {'|'.join(_PROGRAMS)} …", file=sys.stderr)
        return 2
    try:
        program = install(tool)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    return subprocess.call([program, *arguments], env=tool_environment())


if __name__ == "__main__":
    sys.exit(main())
