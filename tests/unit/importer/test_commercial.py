"""The commercial API: every batch arrives once, whatever is lost, refused or answered late."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
import pytest

from core.errors import PermanentError, RetryableError
from core.imports import CommercialApi
from core.outside import OutsideHttp
from importer.commercial import Submission
from local.fake_commercial import TOKEN, FakeCommercialApi, Trouble

_RECORDS = [{"n": number, "text": "é 🐝"} for number in range(7)]
_LINES = [orjson.dumps(record) for record in _RECORDS]


@dataclass
class _Desk:
    """What is remembered of a submission, and how long was waited."""

    api: FakeCommercialApi
    batches: int = 0
    reference: str = ""
    waited: list[float] = field(default_factory=list)
    seconds: float = 600.0

    def remember(self, *, batches: int, reference: str) -> None:
        self.batches, self.reference = batches, reference

    def submit(self, *, token: str = TOKEN, is_begun: bool = False) -> str:
        submission = Submission(
            api=CommercialApi(url=self.api.url, batch_size=3, timeout_seconds=5),
            http=OutsideHttp(insecure_hosts=frozenset({"127.0.0.1"})),
            token=token,
            key="imp_1-abc",
            remaining=lambda: self.seconds,
            sleep=self.waited.append,
            is_begun=is_begun,
        )
        return submission.run(_LINES, done=self.batches, reference=self.reference, remember=self.remember)


@pytest.fixture
def desk() -> Iterator[_Desk]:
    with FakeCommercialApi() as api:
        yield _Desk(api)


def test_all_records_arrive_in_batches_with_keys_of_their_own(desk: _Desk) -> None:
    assert desk.submit() == "COM-0001"

    assert desk.api.records == _RECORDS
    assert list(desk.api.taken) == ["imp_1-abc-0", "imp_1-abc-1", "imp_1-abc-2"]
    assert [body.get("id") for body in desk.api.taken.values()] == [None, "COM-0001", "COM-0001"]
    assert (desk.batches, desk.reference) == (3, "COM-0001")
    assert [method for method, _ in desk.api.calls] == ["POST"] * 3


@pytest.mark.parametrize("trouble", [Trouble(status=0), Trouble(status=500), Trouble(status=503)])
@pytest.mark.parametrize("has_effect", [True, False])
def test_a_batch_whose_outcome_is_unknown_is_asked_for_before_it_is_sent_again(
    desk: _Desk, trouble: Trouble, has_effect: bool
) -> None:
    desk.api.troubles.append(Trouble(status=trouble.status, has_effect=has_effect))

    assert desk.submit() == "COM-0001"

    assert desk.api.records == _RECORDS
    assert desk.api.calls[1] == ("GET", "imp_1-abc-0")
    assert desk.api.calls.count(("POST", "imp_1-abc-0")) == (1 if has_effect else 2)


def test_an_api_that_will_not_say_what_became_of_a_batch_gets_nothing_twice(desk: _Desk) -> None:
    desk.api.troubles += [Trouble(status=0, has_effect=True), Trouble(status=500, of="GET")]

    with pytest.raises(RetryableError, match="nothing is sent twice"):
        desk.submit()

    assert desk.api.calls.count(("POST", "imp_1-abc-0")) == 1
    assert desk.submit(is_begun=True) == "COM-0001"
    assert desk.api.records == _RECORDS
    assert desk.api.calls.count(("POST", "imp_1-abc-0")) == 1


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_process_that_died_after_a_batch_arrived_sends_it_no_second_time(desk: _Desk, done: int) -> None:
    desk.submit()
    desk.batches = done

    desk.submit(is_begun=True)

    assert desk.api.records == _RECORDS
    assert sum(method == "POST" for method, _ in desk.api.calls) <= 3 + (2 - done)
    assert ("GET", f"imp_1-abc-{done}") in desk.api.calls


def test_a_conflict_means_that_the_batch_is_there(desk: _Desk) -> None:
    desk.submit()
    desk.batches = 0

    assert desk.submit() == "COM-0001"
    assert desk.api.records == _RECORDS


def test_a_conflict_about_something_else_ends_the_submission(desk: _Desk) -> None:
    desk.api.troubles.append(Trouble(status=409))

    with pytest.raises(PermanentError, match="409"):
        desk.submit()


def test_the_api_says_how_long_to_wait(desk: _Desk) -> None:
    desk.api.troubles += [Trouble(status=429, headers={"Retry-After": "7"})] * 2

    desk.submit()

    assert desk.waited == [7.0, 7.0]
    assert desk.api.records == _RECORDS
    assert not any(method == "GET" for method, _ in desk.api.calls)  # it was refused for certain


def test_a_wait_that_does_not_fit_into_the_time_left_gives_the_import_back(desk: _Desk) -> None:
    desk.seconds = 20.0
    desk.api.troubles.append(Trouble(status=429, headers={"Retry-After": "30"}))

    with pytest.raises(RetryableError):
        desk.submit()

    assert desk.waited == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_is_final(desk: _Desk, status: int) -> None:
    desk.api.troubles.append(Trouble(status=status))

    with pytest.raises(PermanentError, match=str(status)):
        desk.submit()

    assert len(desk.api.calls) == 1


def test_an_api_that_is_down_for_long_is_left_alone(desk: _Desk) -> None:
    desk.api.troubles += [Trouble(status=429)] * 10

    with pytest.raises(RetryableError):
        desk.submit()

    assert len(desk.api.calls) == 4


def test_the_token_is_in_no_error(desk: _Desk) -> None:
    with pytest.raises(PermanentError) as refused:
        desk.submit(token="a wrong and secret token")

    assert "secret token" not in str(refused.value)


def test_nothing_to_submit_asks_nobody(desk: _Desk) -> None:
    submission = Submission(
        api=CommercialApi(url=desk.api.url),
        http=OutsideHttp(insecure_hosts=frozenset({"127.0.0.1"})),
        token="",
        key="k",
        remaining=lambda: 600.0,
    )

    assert submission.run([], done=0, reference="", remember=desk.remember) == ""
    assert desk.api.calls == []


def test_a_tenant_in_the_address_does_not_hide_the_key(desk: _Desk) -> None:
    desk.api.troubles.append(Trouble(status=500, has_effect=True))
    desk.api.url += "?tenant=7"

    desk.submit()

    assert desk.api.records == _RECORDS
    assert ("GET", "imp_1-abc-0") in desk.api.calls
