"""Slack's OAuth: the page where an admin allows an app, codes and refresh tokens that are good once.

https://docs.slack.dev/reference/methods/oauth.v2.access. The admin of the fake Slack allows everything at once.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from urllib.parse import urlencode

from local.fake_slack.arguments import SlackError
from local.fake_slack.demo import DEMO
from local.fake_slack.state import App, SlackState

CLIENT_ID = "1.parley"
CLIENT_SECRET = "client-secret-of-the-fake-slack"
_CODE_SECONDS = 600
_TOKEN_SECONDS = 43_200


@dataclass(slots=True)
class OAuth:
    """The app's registration, and what is still good for a token.

    `team` is where the next installation takes place, `enterprise_id` the organisation that takes the app in as a
    whole, where there is one.
    """

    team: App = field(
        default_factory=lambda: App(
            DEMO.team_id, DEMO.team_name, DEMO.bot_token, DEMO.bot_user_id, DEMO.bot_id, DEMO.app_id
        )
    )
    rotates: bool = False
    is_denied: bool = False
    enterprise_id: str | None = None
    redirect_uris: set[str] = field(default_factory=set)
    codes: dict[str, tuple[float, str]] = field(default_factory=dict)
    refresh_tokens: set[str] = field(default_factory=set)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def authorize(self, state: SlackState, query: Mapping[str, str]) -> str:
        """Where the browser goes after its person has said yes or no; empty where Slack shows an error instead."""
        redirect_uri = query.get("redirect_uri", "")
        if query.get("client_id") != CLIENT_ID or (self.redirect_uris and redirect_uri not in self.redirect_uris):
            return ""
        given = {"state": query.get("state", "")}
        if self.is_denied:
            return f"{redirect_uri}?{urlencode({'error': 'access_denied', **given})}"
        code = f"code-{next(self.numbers)}"
        self.codes[code] = (state.clock(), redirect_uri)
        return f"{redirect_uri}?{urlencode({'code': code, **given})}"

    def access(self, state: SlackState, authorization: str, values: Mapping[str, object]) -> dict[str, object]:
        """oauth.v2.access."""
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {expected}":
            raise SlackError("invalid_client_id" if not authorization else "bad_client_secret")
        if values.get("grant_type") == "refresh_token":
            return self._refresh(state, str(values.get("refresh_token", "")))
        made_at, redirect_uri = self.codes.pop(str(values.get("code", "")), (0.0, ""))
        if not redirect_uri or state.clock() - made_at > _CODE_SECONDS:
            raise SlackError("invalid_code")
        if values.get("redirect_uri") != redirect_uri:
            raise SlackError("bad_redirect_uri")
        return self._grant(state)

    def _refresh(self, state: SlackState, token: str) -> dict[str, object]:
        if token not in self.refresh_tokens:
            raise SlackError("invalid_refresh_token")
        self.refresh_tokens.discard(token)
        return self._grant(state)

    def _grant(self, state: SlackState) -> dict[str, object]:
        number, team = next(self.numbers), self.team
        token = f"xoxe.xoxb-{number}" if self.rotates else team.bot_token
        with state.changed:
            state.apps[token] = replace(team, bot_token=token)
        enterprise = {"id": self.enterprise_id, "name": "Demo Group"} if self.enterprise_id else None
        granted: dict[str, object] = {
            "access_token": token,
            "token_type": "bot",
            "scope": ",".join(sorted(team.scopes)),
            "bot_user_id": team.bot_user_id,
            "app_id": team.app_id,
            "team": None if enterprise else {"id": team.team_id, "name": team.team_name},
            "enterprise": enterprise,
            "is_enterprise_install": enterprise is not None,
            "authed_user": {"id": DEMO.user_id},
        }
        if self.rotates:
            refresh_token = f"xoxe-1-{number}"
            self.refresh_tokens.add(refresh_token)
            granted |= {"refresh_token": refresh_token, "expires_in": _TOKEN_SECONDS}
        return granted
