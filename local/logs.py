"""Copies what the functions log from the local cloud into files, and shows what went wrong on the terminal."""

import contextlib
import threading
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import Aws

_PAUSE_SECONDS = 2.0
_TROUBLE = ('"level":"ERROR"', '"level":"CRITICAL"', "Traceback (most recent call last)", "Task timed out")
_PLATFORM_LINES = ("START RequestId", "END RequestId", "REPORT RequestId")


class FunctionLogs:
    """Follows the log groups below one prefix until it is stopped."""

    def __init__(self, aws: Aws, prefix: str, folder: Path, *, emulator_log: Path) -> None:
        self._aws = aws
        self._prefix = prefix
        self._folder = folder
        self._emulator_log = emulator_log
        self._emulator_read = emulator_log.stat().st_size
        self._seen: set[str] = set()
        self._since = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="function-logs", daemon=True)

    def start(self) -> None:
        """Follow in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            # The cloud may be going down at this moment; there is nothing to copy then.
            with contextlib.suppress(BotoCoreError, ClientError):
                self._copy()
            self._show_cold_start_failures()

    def _copy(self) -> None:
        groups = self._aws.logs.describe_log_groups(logGroupNamePrefix=self._prefix)["logGroups"]
        newest = self._since
        for group in groups:
            name = group["logGroupName"]
            found = self._aws.logs.filter_log_events(logGroupName=name, startTime=self._since)["events"]
            # The emulator writes each invocation into a stream of its own, at once, and gives its events no id.
            fresh = [event for event in found if event["logStreamName"] not in self._seen]
            self._seen.update(event["logStreamName"] for event in fresh)
            newest = max([newest, *(event["timestamp"] for event in fresh)])
            lines = [event["message"] for event in fresh if not event["message"].startswith(_PLATFORM_LINES)]
            if lines:
                self._write(name.removeprefix(self._prefix), lines)
        self._since = newest

    def _show_cold_start_failures(self) -> None:
        """A function that cannot be imported writes no log of its own; the emulator says why."""
        with self._emulator_log.open(errors="replace") as file:
            file.seek(self._emulator_read)
            lines = file.readlines()
            self._emulator_read = file.tell()
        for line in lines:
            if " ERROR [lambda]" in line:
                print(f"  {line.strip()}", flush=True)

    def _write(self, function: str, lines: list[str]) -> None:
        with (self._folder / f"{function}.log").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        for line in lines:
            if any(trouble in line for trouble in _TROUBLE):
                print(f"  {function}: {line[:2000]}", flush=True)
