"""Only what the Bot Framework signed for our app, lately, comes in."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.errors import RequestRejectedError, RetryableError
from core.http import Http
from core.platforms import Inbound
from core.platforms.teams.inbound import build
from core.platforms.teams.inbound.keys import SigningKeys
from local.fake_slack.faults import FailureMode
from local.fake_teams import DEMO, FakeTeams, payloads, signing
from tests.unit.platforms.teams.requests import (
    EVENT_FILES,
    NOW,
    SERVICE_URL,
    from_file,
    good_claims,
    posted,
    request_of,
)

_BODY = payloads.message("secret of the person", payloads.personal(), activity_id="1767225600100")


@pytest.fixture
def teams() -> Iterator[FakeTeams]:
    with FakeTeams() as fake:
        yield fake


def _build(teams: FakeTeams, *, app_id: str = DEMO.app_id, openid_url: str = "", hosts: str = "") -> Inbound:
    return build(
        app_id=app_id,
        tenant_ids="",
        service_hosts=hosts or "smba.trafficmanager.net",
        openid_url=openid_url or teams.openid_url,
        token_issuer=signing.ISSUER,
        http=Http(),
    )


@pytest.fixture
def inbound(teams: FakeTeams) -> Inbound:
    return _build(teams)


def _code_of(inbound: Inbound, token: str | None, status: int, body: dict[str, object] | None = None) -> str:
    with pytest.raises(RequestRejectedError) as caught:
        inbound.verify(request_of(payloads.body_of(body or _BODY), token), NOW)
    assert caught.value.status == status
    assert "person" not in str(caught.value)
    assert not token or len(token) < 20 or token not in str(caught.value)
    return caught.value.code


@pytest.mark.parametrize("name", EVENT_FILES)
def test_signed_activities_pass(inbound: Inbound, name: str) -> None:
    inbound.verify(from_file(name), NOW)


def test_a_call_without_a_token_is_refused(inbound: Inbound) -> None:
    assert _code_of(inbound, None, 401) == "token-missing"


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "é.b.c", "a.b.c.d", "eyJ.e30.AA", "x" * 20_000, "e30.e30.e30"])
def test_what_is_no_token_is_refused(inbound: Inbound, token: str) -> None:
    assert _code_of(inbound, token, 401) in ("token-malformed", "token-algorithm")


def test_a_forged_token_is_refused(inbound: Inbound) -> None:
    forged = signing.make_key("forger")
    assert _code_of(inbound, signing.sign(good_claims(), forged, kid=signing.make_key().kid), 401) == "signature-wrong"


def test_a_token_of_a_key_that_is_not_the_frameworks_is_refused(inbound: Inbound) -> None:
    assert _code_of(inbound, signing.sign(good_claims(), signing.make_key("forger")), 401) == "key-unknown"


def test_claims_that_were_changed_after_signing_are_refused(inbound: Inbound) -> None:
    head, _, signature = signing.sign(good_claims()).split(".")
    other = signing.sign({**good_claims(), "aud": "another"}).split(".")[1]
    assert _code_of(inbound, f"{head}.{other}.{signature}", 401) == "signature-wrong"


def test_a_token_that_nobody_signed_is_refused(inbound: Inbound) -> None:
    assert _code_of(inbound, signing.sign_none(good_claims()), 401) == "token-algorithm"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_signed_with_the_public_key_as_a_secret_is_refused(inbound: Inbound, algorithm: str) -> None:
    assert _code_of(inbound, signing.sign_confused(good_claims(), algorithm), 401) == "token-algorithm"


def test_another_algorithm_of_the_same_key_is_refused(inbound: Inbound) -> None:
    from joserfc import jws

    key = signing.make_key()
    token = jws.serialize_compact({"alg": "PS256", "kid": key.kid}, b"{}", key, algorithms=["PS256"])
    assert _code_of(inbound, token, 401) == "token-algorithm"


@pytest.mark.parametrize("late", [299, -3600])
def test_a_token_is_good_for_five_minutes_more(inbound: Inbound, late: int) -> None:
    inbound.verify(posted(_BODY, {"exp": int(NOW.timestamp()) - late, "nbf": 1}), NOW)


@pytest.mark.parametrize("late", [301, 86_400])
def test_an_expired_token_is_refused(inbound: Inbound, late: int) -> None:
    said = {**good_claims(), "exp": int(NOW.timestamp()) - late, "nbf": 1}
    assert _code_of(inbound, signing.sign(said), 401) == "token-expired"


def test_a_token_that_is_not_valid_yet_is_refused(inbound: Inbound) -> None:
    inbound.verify(posted(_BODY, {"nbf": int(NOW.timestamp()) + 300}), NOW)
    assert _code_of(inbound, signing.sign({**good_claims(), "nbf": int(NOW.timestamp()) + 301}), 401) == "token-early"


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", [None, "soon", True, -1, 1e300, [], {"in": 1}])
def test_times_that_are_no_times_are_refused(inbound: Inbound, name: str, value: object) -> None:
    assert _code_of(inbound, signing.sign({**good_claims(), name: value}), 401) == "token-malformed"


@pytest.mark.parametrize("name", ["exp", "nbf", "iss", "aud", "serviceurl"])
def test_a_token_that_leaves_something_out_is_refused(inbound: Inbound, name: str) -> None:
    said = {key: value for key, value in good_claims().items() if key != name}
    with pytest.raises(RequestRejectedError):
        inbound.verify(request_of(payloads.body_of(_BODY), signing.sign(said)), NOW)


@pytest.mark.parametrize("audience", ["00000000-0000-4000-8000-00000000b002", "", ["another"], None, 5])
def test_a_token_for_another_app_is_refused(inbound: Inbound, audience: object) -> None:
    token = signing.sign({**good_claims(), "aud": audience})
    with pytest.raises(RequestRejectedError) as caught:
        inbound.verify(request_of(payloads.body_of(_BODY), token), NOW)
    assert caught.value.status in (401, 403)


@pytest.mark.parametrize(
    "issuer",
    ["https://api.botframework.us", "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/", "", "emulator"],
)
def test_a_token_of_another_issuer_is_refused(inbound: Inbound, issuer: str) -> None:
    with pytest.raises(RequestRejectedError) as caught:
        inbound.verify(posted(_BODY, {"iss": issuer}), NOW)
    assert caught.value.status in (401, 403)


@pytest.mark.parametrize("url", ["https://smba.trafficmanager.net/amer/", "https://evil.example/", SERVICE_URL[:-1]])
def test_the_token_must_vouch_for_the_activitys_service_url(inbound: Inbound, url: str) -> None:
    assert _code_of(inbound, signing.sign({**good_claims(), "serviceurl": url}), 403) == "service-url-wrong"
    assert _code_of(inbound, signing.sign(good_claims()), 403, {**_BODY, "serviceUrl": url}) == "service-url-wrong"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "http://smba.trafficmanager.net/emea/",
        "https://smba.trafficmanager.net.evil.example/",
        "https://evil.example/smba.trafficmanager.net/",
        "https://smba.trafficmanager.net@evil.example/",
        "https://smba.trafficmanager.net:8443/",
        "https://smba.trafficmanager.net\\@evil.example/",
        "http://localhost:49231/_connector",
        "http://127.0.0.1:80/",
        "https://[::1",
    ],
)
def test_answers_never_go_to_a_host_that_the_stack_does_not_name(inbound: Inbound, url: str) -> None:
    token = signing.sign({**good_claims(), "serviceurl": url})
    assert _code_of(inbound, token, 403, {**_BODY, "serviceUrl": url}) == "service-host-unknown"


@pytest.mark.parametrize("endorsed", [[], ["directline"], ["MSTEAMS"]])
def test_the_key_must_be_endorsed_for_teams(teams: FakeTeams, endorsed: list[str]) -> None:
    teams.endorsements = endorsed
    assert _code_of(_build(teams), signing.sign(good_claims()), 403) == "not-endorsed"


@pytest.mark.parametrize("channel", ["emulator", "directline", "", None, ["msteams"]])
def test_another_channel_than_teams_is_refused(inbound: Inbound, channel: object) -> None:
    body = {**_BODY, "channelId": channel}
    assert _code_of(inbound, signing.sign(good_claims()), 403, body) == "not-endorsed"


def test_a_body_with_a_key_twice_is_refused_whatever_signed_it(inbound: Inbound) -> None:
    body = payloads.body_of(_BODY)
    twice = body[:-1] + b',"serviceUrl":"https://evil.example/"}'
    with pytest.raises(RequestRejectedError) as caught:
        inbound.verify(request_of(twice, signing.sign(good_claims())), NOW)
    assert (caught.value.status, caught.value.code) == (400, "malformed")


def test_claims_with_a_key_twice_are_refused(inbound: Inbound) -> None:
    from joserfc import jws

    key = signing.make_key()
    said = b'{"aud":"x",' + payloads.body_of(good_claims())[1:]
    token = jws.serialize_compact({"alg": "RS256", "kid": key.kid}, said, key, algorithms=["RS256"])
    assert _code_of(inbound, token, 401) == "token-malformed"


def test_a_stack_without_an_app_lets_nobody_in(teams: FakeTeams) -> None:
    for audience in ("", DEMO.app_id, None):
        token = signing.sign({**good_claims(), "aud": audience})
        assert _code_of(_build(teams, app_id=""), token, 404) == "teams-off"
    assert not teams.calls


def test_the_keys_are_fetched_once_for_many_calls(teams: FakeTeams, inbound: Inbound) -> None:
    for _ in range(20):
        inbound.verify(posted(_BODY), NOW)
    assert (len(teams.calls_to("metadata")), len(teams.calls_to("keys"))) == (1, 1)


def test_invented_key_ids_do_not_make_us_ask_again(teams: FakeTeams, inbound: Inbound) -> None:
    inbound.verify(posted(_BODY), NOW)
    for number in range(20):
        assert _code_of(inbound, signing.sign(good_claims(), kid=f"invented-{number}"), 401) == "key-unknown"
    assert len(teams.calls_to("keys")) == 1


def test_without_keys_the_platform_is_asked_to_send_again(teams: FakeTeams, inbound: Inbound) -> None:
    teams.fail_next("metadata", 503, times=5)
    for _ in range(5):
        with pytest.raises(RetryableError):
            inbound.verify(posted(_BODY), NOW)
    assert len(teams.calls_to("metadata")) == 1, "a host that is down is not asked at every call"


def test_a_known_key_verifies_while_the_key_host_is_down(teams: FakeTeams, inbound: Inbound) -> None:
    inbound.verify(posted(_BODY), NOW)
    teams.close()
    inbound.verify(posted(_BODY), NOW)


class _Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_rotated_key_is_fetched_and_the_old_one_is_not_trusted_any_more(teams: FakeTeams) -> None:
    clock = _Clock()
    keys = SigningKeys(teams.openid_url, Http(), monotonic=clock)
    first, second = signing.make_key(), signing.make_key("second")
    assert keys.find(str(first.kid))
    teams.keys = [second]
    assert keys.find(str(second.kid)) is None, "asked a moment ago"
    clock.seconds += 301
    assert keys.find(str(second.kid))
    assert keys.find(str(first.kid)) is None


def test_keys_are_asked_for_anew_after_half_a_day_and_serve_for_five_while_nobody_answers(teams: FakeTeams) -> None:
    clock = _Clock()
    keys = SigningKeys(teams.openid_url, Http(), monotonic=clock)
    known = str(signing.make_key().kid)
    assert keys.find(known)
    clock.seconds += 12 * 3600 + 1
    assert keys.find(known)
    assert len(teams.calls_to("keys")) == 2
    teams.fail_next("metadata", 503, times=1_000)
    clock.seconds += 5 * 24 * 3600 - 1
    assert keys.find(known)
    clock.seconds += 12
    with pytest.raises(RetryableError):
        keys.find(known)


@pytest.mark.parametrize(
    "url", ["https://login.botframework.com.evil.example/keys", "http://127.0.0.1:9/keys", "keys", ""]
)
def test_keys_come_from_the_configured_host_alone(teams: FakeTeams, url: str) -> None:
    teams.keys_url = url
    with pytest.raises(RetryableError):
        SigningKeys(teams.openid_url, Http()).find("any")
    assert not teams.calls_to("keys")


@pytest.mark.parametrize(
    "url", ["http://login.botframework.com/openid", "ftp://127.0.0.1/openid", "file:///etc/passwd"]
)
def test_keys_are_fetched_over_https_only(url: str) -> None:
    with pytest.raises(RetryableError):
        SigningKeys(url, Http()).find("any")


def test_a_key_host_that_drips_or_floods_is_left(teams: FakeTeams) -> None:
    teams.fail_next("keys", 200, mode=FailureMode.HTML)
    with pytest.raises(RetryableError):
        SigningKeys(teams.openid_url, Http()).find("any")
    teams.keys = [signing.make_key()] * 1_000
    started = time.monotonic()
    with pytest.raises(RetryableError):
        SigningKeys(teams.openid_url, Http()).find("any")
    assert time.monotonic() - started < 3


def test_a_short_key_is_none(teams: FakeTeams) -> None:
    from joserfc.errors import SecurityWarning
    from joserfc.jwk import RSAKey

    with pytest.warns(SecurityWarning):
        teams.keys = [RSAKey.generate_key(1024, {"kid": "short"})]
    with pytest.warns(SecurityWarning), pytest.raises(RetryableError):
        SigningKeys(teams.openid_url, Http()).find("short")


def test_a_token_stays_good_only_for_the_time_it_says(inbound: Inbound) -> None:
    request = posted(_BODY)
    inbound.verify(request, NOW + timedelta(hours=1))
    with pytest.raises(RequestRejectedError):
        inbound.verify(request, NOW + timedelta(hours=2))
    with pytest.raises(RequestRejectedError):
        inbound.verify(replace(request, headers={}), NOW)


def test_the_inbound_half_loads_little() -> None:
    script = "import core.platforms.teams.inbound, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=_environment()
    )
    loaded = set(done.stdout.split())
    assert "joserfc.jws" in loaded
    assert not loaded & {"boto3", "requests", "aiohttp", "core.platforms.teams.adapter", "core.platforms.teams.format"}


def _environment() -> dict[str, str]:
    from tests.house.project import LAYERS

    return {"PYTHONPATH": str(LAYERS / "core")}
