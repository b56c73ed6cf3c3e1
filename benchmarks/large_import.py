"""Large files through the import function: memory, time and invocations; in ranges; and killed again and again.

`python -m benchmarks.large_import --gb 3` lets a function that may allocate 512 MB import a file of 3 GB in invocations
of 180 seconds, alone and in ranges. `--rows 1000000 --kills 20` ends functions by SIGKILL at random times until so many
died. The functions are the real door in processes of their own; DynamoDB and SQS are the local cloud's, S3 is on disk,
each in another. The run fails unless output, rejects and counts are the same each time, and every record was handed
over once.
"""

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from rich.console import Console
from rich.table import Table

_ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_ROOT), *(str(_ROOT / "layers" / room) for room in ("importer", "core"))]
from benchmarks.import_data import HEADER, TEMPLATE, order_mapping, write_csv, write_large_csv  # noqa: E402 - above
from core.events import ImportQueued  # noqa: E402
from core.import_keys import make_input_key  # noqa: E402
from core.imports import CommercialApi, Import, ImportOptions, ImportTemplate  # noqa: E402
from core.models import Company  # noqa: E402
from core.store import Store  # noqa: E402
from importer.mapping import fingerprint  # noqa: E402
from local.aws import Aws, start_emulator  # noqa: E402
from local.fake_commercial import TOKEN, FakeCommercialApi  # noqa: E402
from local.processes import end, find_free_ports, start, wait_until_healthy  # noqa: E402
from tests.integration.cloud import read_table_definition  # noqa: E402 - the template's own table

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

_COMPANY, _USER, _TABLE, _BUCKET = "bench", "usr_bench", "parley-bench", "parley-bench-data"
_SECRET = "parley/bench/tools/commercial"
_SIDE = str(_ROOT / "benchmarks" / "large_import_side.py")
_PATIENCE = 7_200.0  # seconds for one import
_LAST_WORDS = 3.0  # seconds that an invocation has to say what it took, once its import is over
_ALONE = 5_000_000  # MB from which on files have ranges: none has


@dataclass(slots=True)
class _Way:
    """How a file is imported, and what that took.

    Attributes:
        lease: Seconds until a dead function's work is taken up; 0 as on AWS.
    """

    name: str
    ranges_from: int
    functions: int
    kills: int = 0
    lease: float = 0.0
    seconds: float = 0.0
    invocations: list[dict[str, float]] = field(default_factory=list)
    killed: int = 0
    imports: int = 0


class _Bench:
    """The local cloud with one company, and the file in it."""

    def __init__(self, aws: Aws, objects: Aws, told: argparse.Namespace) -> None:
        os.environ.update(aws.environment(), AWS_EC2_METADATA_DISABLED="true")
        os.environ["AWS_ENDPOINT_URL_S3"] = objects.endpoint_url
        os.environ["AWS_REQUEST_CHECKSUM_CALCULATION"] = os.environ["AWS_RESPONSE_CHECKSUM_VALIDATION"] = (
            "when_required"
        )
        boto3.client("dynamodb").create_table(TableName=_TABLE, **read_table_definition())
        objects.s3.create_bucket(Bucket=_BUCKET)
        aws.write_secret("parley/bench/openai-api-key", "none")
        aws.write_secret(_SECRET, TOKEN)
        self.s3, self.sqs = objects.s3, boto3.client("sqs")
        self.store = Store(_TABLE, bucket_name=_BUCKET)
        self.told = told
        self._number = 0
        now = datetime.now(UTC)
        self.store.directory.add_company(Company(id=_COMPANY, name="Bench", created_at=now))
        document = {"record": dict(TEMPLATE.record)}
        self.store.templates.put_template(
            ImportTemplate(company_id=_COMPANY, name="orders", version=1, document=document, created_at=now)
        )
        known = fingerprint(HEADER.split(","), TEMPLATE)
        mapping = order_mapping().model_dump_json(by_alias=True)
        self.store.templates.save_mapping(_COMPANY, "orders", 1, known, mapping)  # nobody asks a model

    def put(self, path: Path) -> Import:
        """A new import of the file, which is uploaded once and copied from then on."""
        self._number += 1
        import_id, now = f"imp_{self._number:016}", datetime.now(UTC)
        key = make_input_key(_COMPANY, _USER, import_id, "orders.csv")
        self.s3.upload_file(str(path), _BUCKET, key)
        import_ = Import(
            id=import_id,
            user_id=_USER,
            user_company_id=_COMPANY,
            input_file_name="orders.csv",
            input_file_url=f"s3://{_BUCKET}/{key}",
            options=ImportOptions(template="orders", is_forced=True),
            created_at=now,
            updated_at=now,
        )
        self.store.imports.create(import_)
        return import_

    def get(self, import_id: str) -> Import:
        """An import as it stands."""
        found = self.store.imports.get(_COMPANY, import_id)
        assert found  # noqa: S101 - it was made above
        return found

    def forget(self, done: Import) -> None:
        """Remove what an import left: it may be gigabytes."""
        for prefix in ("imports", "outputs", "rejects", "ranges"):
            for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET, Prefix=f"{prefix}/"):
                for each in page.get("Contents", ()):
                    if done.id in each["Key"]:
                        self.s3.delete_object(Bucket=_BUCKET, Key=each["Key"])

    def digest(self, url: str | None) -> str:
        """SHA-256 of what is at an address."""
        if url is None:
            return ""
        found = hashlib.sha256()
        body = self.s3.get_object(Bucket=_BUCKET, Key=url.removeprefix(f"s3://{_BUCKET}/"))["Body"]
        for block in body.iter_chunks(1024 * 1024):
            found.update(block)
        return found.hexdigest()

    def run(self, way: _Way, path: Path) -> tuple[object, ...]:
        """Import the file in one way, as often as it takes for all kills; what people see of it, the same each time."""
        seen: set[tuple[object, ...]] = set()
        chance = random.Random(11)  # noqa: S311 - the same moments every time, as far as a machine allows
        while not seen or way.killed < way.kills:
            import_ = self.put(path)
            with FakeCommercialApi() as api:
                if way.kills:
                    api_of = CommercialApi(url=api.url, batch_size=10_000, secret_name=_SECRET)
                    self.store.templates.set_commercial_api(_COMPANY, api_of)
                done = self._import(way, import_.id, chance)
                records = api.records
                if way.kills and (len(records) != done.rows_written or len(_ids(records)) != len(records)):
                    sys.exit(f"{len(records)} records were handed over, {done.rows_written} written")
            counts = (done.processing_status.value, done.rows_read, done.rows_written, done.rows_rejected)
            seen.add((*counts, self.digest(done.output_file_url), self.digest(done.rejects_file_url)))
            self.forget(done)
            way.imports += 1
        if len(seen) != 1:
            sys.exit(f"{way.name}: not the same each time: {seen}")
        return seen.pop()

    def _import(self, way: _Way, import_id: str, chance: random.Random) -> Import:
        with self._functions(way) as functions:
            started = time.monotonic()
            body = ImportQueued(company_id=_COMPANY, import_id=import_id).model_dump_json(by_alias=True)
            self.sqs.send_message(QueueUrl=functions.queue_url, MessageBody=body)
            next_kill = started + chance.uniform(2, 5)
            while not (standing := self.get(import_id)).is_over:
                if time.monotonic() > started + _PATIENCE:
                    sys.exit(f"{way.name}: still {standing.processing_status} after {_PATIENCE} seconds")
                if way.killed < way.kills and time.monotonic() > next_kill:
                    functions.kill(chance)
                    way.killed += 1
                    next_kill = time.monotonic() + chance.uniform(1, 5)
                time.sleep(0.2)
            way.seconds += time.monotonic() - started
            time.sleep(_LAST_WORDS)
        way.invocations += functions.said()
        return standing

    @contextmanager
    def _functions(self, way: _Way) -> Iterator["_Functions"]:
        attributes: dict[QueueAttributeNameType, str] = {
            "VisibilityTimeout": str(int(way.lease) + 1 if way.lease else 90)
        }
        url = self.sqs.create_queue(QueueName=f"imports-{self._number}", Attributes=attributes)["QueueUrl"]
        functions = _Functions(way, url, self.told)
        try:
            yield functions
        finally:
            functions.end()


class _Functions:
    """The processes that take messages."""

    def __init__(self, way: _Way, queue_url: str, told: argparse.Namespace) -> None:
        self.queue_url = queue_url
        self._way = way
        self._told = told
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `end`
        self._said: list[str] = []
        self._running = [self._start() for _ in range(way.functions)]

    def _start(self) -> "subprocess.Popen[str]":
        environment = {
            **os.environ,
            "STAGE": "bench",
            "LOG_LEVEL": "WARNING",
            "POWERTOOLS_SERVICE_NAME": "import_processor",
            "POWERTOOLS_METRICS_NAMESPACE": "Parley",
            "TABLE_NAME": _TABLE,
            "BUCKET_NAME": _BUCKET,
            "IMPORTS_QUEUE_URL": self.queue_url,
            "SIGNALS_QUEUE_URL": self.queue_url,  # nothing here came from a conversation
            "MAX_RECEIVE_COUNT": "1000",
            "OPENAI_API_KEY_SECRET_NAME": "parley/bench/openai-api-key",
            "OPENAI_MODEL": "none",
            "TOOL_INSECURE_HOSTS": "127.0.0.1",
            "IMPORT_RANGES_FROM": str(self._way.ranges_from),
            "IMPORT_RANGE_SIZE": str(self._told.range_mb),
        }
        arguments = [str(self._told.memory), str(self._told.seconds), str(self._way.lease)]
        return subprocess.Popen(
            [sys.executable, _SIDE, *arguments], env=environment, stdout=self._log, stderr=None, text=True
        )

    def kill(self, chance: random.Random) -> None:
        """End one at once, and start another in its place."""
        victim = chance.randrange(len(self._running))
        self._running[victim].kill()
        self._running[victim].wait()
        self._running[victim] = self._start()

    def end(self) -> None:
        """End all."""
        for process in self._running:
            process.kill()
            process.wait()
        self._log.seek(0)
        self._said = self._log.read().splitlines()
        self._log.close()

    def said(self) -> list[dict[str, float]]:
        """What the invocations took that came to their end."""
        return [json.loads(line) for line in self._said if line.endswith("}")]


def _ids(records: list[dict[str, str]]) -> set[str]:
    return {record["order_id"] for record in records}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file")
    parser.add_argument("--gb", type=float, default=0, help="size of the file instead, of repeated rows")
    parser.add_argument("--memory", type=int, default=512, help="MB that a function may allocate; 0: as it likes")
    parser.add_argument("--seconds", type=float, default=180, help="seconds of an invocation, 60 of which are spare")
    parser.add_argument("--range-mb", type=int, default=256, help="size of a range")
    parser.add_argument("--functions", type=int, default=2, help="that work on ranges side by side")
    parser.add_argument("--kills", type=int, default=0, help="functions that die by SIGKILL, for each way")
    told = parser.parse_args()
    ways = [_Way("one function", _ALONE, 1), _Way(f"ranges, {told.functions} functions", 1, told.functions)]
    if told.kills:
        ways.append(_Way("one function, killed", _ALONE, 1, kills=told.kills, lease=3.0))
        ways.append(_Way("ranges, killed", 1, told.functions, kills=told.kills, lease=3.0))
    console = Console(width=120, highlight=False)
    console.print(f"{os.cpu_count()} CPUs, load before the run {os.getloadavg()[0]:.1f}; above 0.5 times are noise")
    with tempfile.TemporaryDirectory(prefix="parley-large-") as name:
        path = Path(name) / "orders.csv"
        rows = write_large_csv(path, int(told.gb * 1e9)) if told.gb else told.rows
        if not told.gb:
            write_csv(path, rows)
        console.print(f"{rows:,} rows, {path.stat().st_size / 1e9:.2f} GB; at most {told.memory} MB per function")
        with _cloud(Path(name)) as (aws, objects):
            bench = _Bench(aws, objects, told)
            outcomes = {bench.run(way, path) for way in ways}
    console.print(_table(ways, rows))
    if len(outcomes) != 1:
        sys.exit(f"not the same in every way: {outcomes}")
    console.print("the same bytes and counts in every way:", *outcomes.pop()[:4])


@contextmanager
def _cloud(folder: Path) -> Iterator[tuple[Aws, Aws]]:
    """The local cloud, and where its objects are: gigabytes are not for its memory."""
    log, first, second = folder / "emulator.log", find_free_ports(1), find_free_ports(1)
    side = [sys.executable, str(_ROOT / "benchmarks" / "disk_objects.py"), str(second), str(folder / "objects")]
    objects = start("objects on disk", side, env=os.environ, log=folder / "objects.log", cwd=folder)
    emulator = start_emulator(first, folder, log=log, is_iam_enforced=False)
    try:
        wait_until_healthy(emulator, f"http://127.0.0.1:{first}/_ministack/health", log=log)
        wait_until_healthy(objects, f"http://127.0.0.1:{second}/bucket", log=folder / "objects.log")
        yield Aws(f"http://127.0.0.1:{first}"), Aws(f"http://127.0.0.1:{second}")
    finally:
        end([emulator, objects])


def _table(ways: list[_Way], rows: int) -> Table:
    table = Table()
    for name in ("", "imports", "killed", "seconds each", "rows/s", "CPU s each", "invocations", "peak MB"):
        table.add_column(name, justify="right" if name else "left")
    for way in ways:
        each = way.seconds / way.imports
        cpu = sum(one["cpu"] for one in way.invocations) / way.imports
        peak = max((one["memory"] for one in way.invocations), default=0.0)
        cells = (way.imports, way.killed, each, rows / each, cpu, len(way.invocations), peak)
        table.add_row(way.name, *(f"{cell:,.0f}" for cell in cells))
    return table


if __name__ == "__main__":
    main()
