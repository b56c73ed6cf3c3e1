"""The log and the metrics of a function, as CloudWatch reads them."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from core.telemetry import Metrics, logger, place_of
from tests.unit.conftest import WrittenLog

_CORE_LAYER = Path(__file__).parents[3] / "layers" / "core"


@pytest.fixture(autouse=True)
def _named_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "slack_webhook")
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Parley-test")


def _read_emf(written: str) -> list[dict[str, Any]]:
    """The documents of the log, each checked as CloudWatch would before it makes metrics of it."""
    documents = [json.loads(line) for line in written.splitlines()]
    for document in documents:
        assert isinstance(document["_aws"]["Timestamp"], int)
        [directive] = document["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"]
        [dimensions] = directive["Dimensions"]
        assert all(isinstance(document[dimension], str) and document[dimension] for dimension in dimensions)
        assert "service" in dimensions
        for metric in directive["Metrics"]:
            assert metric["Unit"] in {"Count", "Milliseconds"}
            assert 1 <= len(document[metric["Name"]]) <= 100
    return documents


def test_one_line_is_written_for_each_set_of_dimensions(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    metrics.count("TurnsEnded", outcome="answered", platform="slack")
    metrics.count("TurnsEnded", platform="slack", outcome="answered")
    metrics.count("TurnsEnded", outcome="refused", platform="slack")
    metrics.milliseconds("TimeToFirstToken", 812.5, platform="slack")
    metrics.count("Tokens", 1500, platform="slack")

    metrics.flush()

    by_outcome = {document.get("outcome"): document for document in _read_emf(capsys.readouterr().out)}
    assert by_outcome["answered"]["TurnsEnded"] == [1, 1]
    assert by_outcome["refused"]["TurnsEnded"] == [1]
    assert by_outcome[None]["TimeToFirstToken"] == [812.5]
    assert by_outcome[None]["Tokens"] == [1500]
    assert len(by_outcome) == 3
    assert {document["service"] for document in by_outcome.values()} == {"slack_webhook"}
    assert by_outcome[None]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Parley-test"


def test_nothing_is_written_twice_and_nothing_where_nothing_was_counted(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    metrics.flush()
    assert capsys.readouterr().out == ""

    metrics.count("MessagesIn")
    metrics.flush()
    metrics.flush()

    assert len(_read_emf(capsys.readouterr().out)) == 1


@pytest.mark.parametrize("times", [99, 100, 101, 250])
def test_more_values_than_a_line_may_hold_are_all_written(times: int, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    for number in range(times):
        metrics.milliseconds("TurnDuration", number, platform="slack")

    metrics.flush()

    documents = _read_emf(capsys.readouterr().out)
    assert [value for document in documents for value in document["TurnDuration"]] == list(range(times))
    assert {document["platform"] for document in documents} == {"slack"}


def test_counts_of_several_threads_are_all_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(10)
        for _ in range(500):
            metrics.count("MessagesIn", platform=f"platform-{number % 2}")
        metrics.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Several threads flush here, which no function does: their lines may run into each other, their values may not.
    written = capsys.readouterr().out
    decoder, position, total = json.JSONDecoder(), 0, 0.0
    while position < len(written):
        if written[position] == "\n":
            position += 1
            continue
        document, position = decoder.raw_decode(written, position)
        total += sum(document["MessagesIn"])
    assert total == 8 * 500


def test_a_missing_namespace_does_not_fail_the_work_that_was_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POWERTOOLS_METRICS_NAMESPACE")
    metrics = Metrics()
    metrics.count("MessagesIn")

    metrics.flush()

    [document] = _read_emf(capsys.readouterr().out)
    assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Parley"


def test_a_log_line_carries_the_correlation_id_and_the_time_in_utc(
    log: WrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        logger.info("message taken", extra={"correlation_id": "request-1", "platform": "slack"})
    time.tzset()

    [line] = log.lines
    assert (line["message"], line["correlation_id"], line["platform"]) == ("message taken", "request-1", "slack")
    assert line["timestamp"].endswith("+0000")


def test_the_place_of_an_error_shows_where_it_was_raised_and_not_what_it_says() -> None:
    def fail() -> None:
        raise ValueError("the text of a person")

    with pytest.raises(ValueError, match="person") as raised:
        fail()

    place = place_of(raised.value)
    file, _, line = place.rpartition(":")
    assert file == __file__
    assert int(line) == fail.__code__.co_firstlineno + 1
    assert place_of(ValueError("never raised")) == "unknown"


def test_an_error_elsewhere_in_the_process_is_not_written_to_the_log() -> None:
    written = subprocess.run(
        [sys.executable, "-c", "import core.telemetry; raise ValueError('the text of a person')"],
        cwd=_CORE_LAYER,
        capture_output=True,
        check=False,
        text=True,
    )

    assert written.returncode == 1
    assert written.stdout == ""


def test_counting_and_logging_load_no_tracing_library() -> None:
    script = (
        "import sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert not name.startswith('aws_xray_sdk'), name\n"
        "sys.meta_path.insert(0, Watch())\n"
        "import core.queues, core.webhook, core.settings, core.telemetry as t\n"
        "t.metrics.count('MessagesIn'); t.metrics.flush(); t.logger.info('taken')\n"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=_CORE_LAYER, capture_output=True, check=False, text=True)

    assert done.returncode == 0, done.stderr
