"""Builds what is deployed: `sam build` into .aws-sam/<architecture>, when something in it has changed."""

import argparse
import hashlib
import platform
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from local.processes import LocalError, run
from local.stack import PROJECT
from local.tools import exclusive, install, tool_environment

_BUILDS = PROJECT / ".aws-sam"
_SOURCES = ("template.yaml", "layers", "functions", "local/sam.lock", "local/build.py")
_PARAMETER = re.compile(r"^  Architecture:\n(?:    .*\n)+|^ +- Architecture\n", re.MULTILINE)
_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


def host_architecture() -> str:
    """This machine's processor, in Lambda's words."""
    return _ARCHITECTURES[platform.machine().lower()]


def build(architecture: str) -> Path:
    """The built template; what it refers to lies beside it.

    Raises:
        LocalError: The build failed.
    """
    folder, stamp = _BUILDS / architecture, _BUILDS / f"{architecture}.hash"
    with exclusive(_BUILDS / f"{architecture}.lock"):
        content = _content_hash()
        if not (stamp.exists() and stamp.read_text() == content and (folder / "template.yaml").exists()):
            stamp.unlink(missing_ok=True)
            environment = tool_environment() | {"ARCHITECTURE": architecture, "PYTHON": sys.executable, "UV": "uv"}
            command = [str(install("sam")), "build", "--template-file", "template.yaml", "--build-dir", str(folder)]
            command += ["--parameter-overrides", f"Architecture={architecture}"]
            run(command, env=environment, log=_BUILDS / f"{architecture}.log", cwd=PROJECT)
            _settle_architecture(folder / "template.yaml", architecture)
            stamp.write_text(content)
    return folder / "template.yaml"


def _settle_architecture(template: Path, architecture: str) -> None:
    """Write into a built template what the libraries beside it are for, in place of the parameter.

    A parameter would keep the value of the deployment before.
    """
    text = _PARAMETER.sub("", template.read_text())
    template.write_text(re.sub(r"\bRef: Architecture\b", architecture, text))


def _content_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(_source_files()):
        digest.update(f"{path.relative_to(PROJECT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _source_files() -> Iterator[Path]:
    for source in _SOURCES:
        place = PROJECT / source
        found = place.rglob("*") if place.is_dir() else [place]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)


def main() -> int:
    """Build for one architecture."""
    parser = argparse.ArgumentParser(prog="python -m local.build", description=__doc__)
    parser.add_argument("--architecture", choices=sorted(set(_ARCHITECTURES.values())), default=host_architecture())
    architecture = parser.parse_args().architecture
    started = time.monotonic()
    try:
        template = build(architecture)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{template.relative_to(PROJECT)} is up to date ({time.monotonic() - started:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
