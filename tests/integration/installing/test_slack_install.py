"""A workspace comes to a company through Slack's OAuth; whoever meddles with it gets nothing."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from core.models import Installation
from local.fake_slack import DEMO, FailureMode
from tests.integration.installing.conftest import KEY, Setting


def test_link_leads_through_slack_to_an_installation(setting: Setting) -> None:
    page = setting.browser().install(setting.link())
    assert (page["statusCode"], "belongs to Acme" in page["body"]) == (200, True)
    installation = setting.installation(DEMO.team_id)
    assert installation is not None
    assert (installation.company_id, installation.enabled, installation.status) == ("acme", True, "ACTIVE")
    assert installation.settings["botUserId"] == DEMO.bot_user_id
    assert setting.secret(DEMO.team_id) == {"value": DEMO.bot_token}


def test_cookie_is_kept_from_scripts_and_from_other_sites(setting: Setting) -> None:
    page = setting.browser().get("/slack/install", {"link": setting.link()})
    (cookie,) = page["cookies"]
    assert {"HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"} <= set(cookie.split("; "))
    assert page["headers"]["referrer-policy"] == "no-referrer"


def test_installing_again_takes_the_new_token_and_switches_on(setting: Setting) -> None:
    setting.browser().install(setting.link())
    now = datetime.now(UTC)
    setting.store.directory.set_installation_enabled("acme", "slack", DEMO.team_id, enabled=False, now=now)
    first = setting.installation(DEMO.team_id)
    setting.slack.oauth.rotates = True
    assert setting.browser().install(setting.link())["statusCode"] == 200
    again = setting.installation(DEMO.team_id)
    assert first is not None
    assert again is not None
    assert (again.id, again.enabled) == (first.id, True)
    assert setting.secret(DEMO.team_id)["value"].startswith("xoxe.xoxb-")


def test_organisation_is_installed_as_a_whole(setting: Setting) -> None:
    setting.slack.oauth.enterprise_id = "E0DEMO0001"
    assert setting.browser().install(setting.link())["statusCode"] == 200
    assert setting.installation("E0DEMO0001") is not None
    assert setting.installation(DEMO.team_id) is None


def test_workspace_of_another_company_stays_there(setting: Setting) -> None:
    setting.browser().install(setting.link("other"))
    setting.slack.oauth.rotates = True
    page = setting.browser().install(setting.link("acme"))
    assert (page["statusCode"], "belongs to another company" in page["body"]) == (409, True)
    installation = setting.installation(DEMO.team_id)
    assert installation is not None
    assert installation.company_id == "other"
    assert setting.secret(DEMO.team_id) == {"value": DEMO.bot_token}


@pytest.mark.parametrize("link", ["", "nonsense", "a.b", "é.é", "x" * 5_000])
def test_link_that_ops_did_not_make_is_refused(setting: Setting, link: str) -> None:
    page = setting.browser().get("/slack/install", {"link": link})
    assert (page["statusCode"], page["cookies"]) == (403, [])
    assert link not in page["body"] or not link


def _changed(part: str) -> str:
    return part[:-1] + ("B" if part.endswith("A") else "A")


def test_changed_and_old_links_are_refused(setting: Setting) -> None:
    link = setting.link()
    body, _, mac = link.partition(".")
    for bad in (f"{_changed(body)}.{mac}", f"{body}.{_changed(mac)}", setting.link(days_old=8)):
        assert setting.browser().get("/slack/install", {"link": bad})["statusCode"] == 403


def test_link_is_no_state_and_state_is_no_link(setting: Setting) -> None:
    browser = setting.browser()
    state = dict(parse_qsl(urlsplit(browser.begin(setting.link())).query))["state"]
    assert browser.get("/slack/install", {"link": state})["statusCode"] == 403
    assert browser.finish({"code": "code-1", "state": setting.link()})["statusCode"] == 403


def test_stolen_state_is_worth_nothing_in_another_browser(setting: Setting) -> None:
    victim, thief = setting.browser(), setting.browser()
    given = victim.allow(victim.begin(setting.link()))
    assert "another browser" in thief.finish(given)["body"]
    thief.begin(setting.link("other"))
    assert thief.finish(given)["statusCode"] == 403
    assert setting.installation(DEMO.team_id) is None
    assert victim.finish(given)["statusCode"] == 200


def test_callback_works_once(setting: Setting) -> None:
    browser = setting.browser()
    location = browser.begin(setting.link())
    cookies = dict(browser.cookies)
    given = browser.allow(location)
    assert browser.finish(given)["statusCode"] == 200
    browser.cookies = cookies
    again = browser.finish(browser.allow(location))
    assert (again["statusCode"], "done before" in again["body"]) == (403, True)


def test_state_ends_after_ten_minutes(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.installing.links.STATE_MINUTES", -1)
    browser = setting.browser()
    page = browser.install(setting.link())
    assert (page["statusCode"], "too long" in page["body"]) == (403, True)


def test_redirect_goes_to_slack_and_back_to_us_whatever_the_request_says(setting: Setting) -> None:
    query = {"link": setting.link(), "redirect_uri": "https://evil.example", "state": "x", "next": "//evil.example"}
    page = setting.browser().get("/slack/install", query, host="evil.example")
    location = page["headers"]["location"]
    assert location.startswith(f"{setting.slack.url}/oauth/v2/authorize?")
    assert "evil" not in location


def test_person_who_says_no_is_told_so(setting: Setting) -> None:
    setting.slack.oauth.is_denied = True
    page = setting.browser().install(setting.link())
    assert (page["statusCode"], "Nothing was installed" in page["body"]) == (403, True)


@pytest.mark.parametrize("mode", list(FailureMode)[:3])
def test_slack_that_fails_leaves_nothing_half_done_and_leaks_nothing(setting: Setting, mode: FailureMode) -> None:
    setting.slack.fail_next("oauth.v2.access", mode=mode, error="internal_error")
    browser = setting.browser()
    page = browser.finish(browser.allow(browser.begin(setting.link())) | {"code": "<script>code-secret"})
    assert page["statusCode"] == 503
    assert "code-secret" not in page["body"]
    assert setting.installation(DEMO.team_id) is None
    assert browser.install(setting.link())["statusCode"] == 200


def test_refused_code_is_explained(setting: Setting) -> None:
    browser = setting.browser()
    given = browser.allow(browser.begin(setting.link()))
    page = browser.finish(given | {"code": "made-up"})
    assert (page["statusCode"], "did not accept" in page["body"]) == (502, True)


def test_company_that_is_gone_gets_no_workspace(setting: Setting) -> None:
    assert setting.browser().install(setting.link("gone"))["statusCode"] == 404


def test_nothing_of_it_is_logged(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    browser = setting.browser()
    given = browser.allow(browser.begin(setting.link()))
    browser.finish(given)
    browser.finish(given)
    logged = "".join(capsys.readouterr())
    assert not [secret for secret in (KEY, given["code"], given["state"], DEMO.bot_token) if secret in logged]


def test_tokens_that_end_soon_are_exchanged_once(setting: Setting) -> None:
    setting.slack.oauth.rotates = True
    setting.browser().install(setting.link())
    before = setting.secret(DEMO.team_id)
    setting.tokens.handler({}, None)
    assert setting.secret(DEMO.team_id) == before
    _let_it_end_soon(setting)
    for _ in range(2):
        setting.tokens.handler({}, None)
    after = setting.secret(DEMO.team_id)
    assert after["value"] != before["value"]
    assert setting.slack.oauth.refresh_tokens == {after["refreshToken"]}
    assert len(setting.slack.calls_to("oauth.v2.access")) == 2
    installation = setting.installation(DEMO.team_id)
    assert installation is not None
    assert installation.rotating_until is None


def test_process_that_holds_the_rotation_is_alone(setting: Setting) -> None:
    setting.slack.oauth.rotates = True
    setting.browser().install(setting.link())
    installation = _let_it_end_soon(setting)
    now = datetime.now(UTC)
    assert setting.store.directory.hold_rotation(installation, until=now.replace(year=now.year + 1), now=now)
    setting.tokens.handler({}, None)
    assert len(setting.slack.calls_to("oauth.v2.access")) == 1


def test_process_that_died_before_the_exchange_is_followed_by_another(setting: Setting) -> None:
    setting.slack.oauth.rotates = True
    setting.browser().install(setting.link())
    _let_it_end_soon(setting)
    setting.slack.fail_next("oauth.v2.access", error="internal_error")
    setting.tokens.handler({}, None)
    installation = setting.installation(DEMO.team_id)
    assert installation is not None
    assert installation.rotating_until is not None
    setting.store.directory.put_installation(installation.model_copy(update={"rotating_until": datetime.now(UTC)}))
    setting.tokens.handler({}, None)
    assert len(setting.slack.oauth.refresh_tokens) == 1


def test_exchange_whose_answer_was_lost_leaves_the_old_token_to_work_on(setting: Setting) -> None:
    setting.slack.oauth.rotates = True
    setting.browser().install(setting.link())
    before = setting.secret(DEMO.team_id)
    installation = _let_it_end_soon(setting)
    setting.slack.fail_next("oauth.v2.access", mode=FailureMode.DROP, effect_first=True)
    setting.tokens.handler({}, None)
    setting.store.directory.put_installation(installation)
    setting.tokens.handler({}, None)
    assert setting.secret(DEMO.team_id) == before
    assert setting.browser().install(setting.link())["statusCode"] == 200
    assert setting.secret(DEMO.team_id) != before


def _let_it_end_soon(setting: Setting) -> Installation:
    installation = setting.installation(DEMO.team_id)
    assert installation is not None
    soon = installation.model_copy(update={"token_expires_at": datetime.now(UTC), "rotating_until": None})
    setting.store.directory.put_installation(soon)
    return soon
