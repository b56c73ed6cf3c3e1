"""Microsoft Teams: who sent an activity, and what it says.

https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication. Only what the
webhook needs is imported here: its cold start pays for every import.
"""

from collections.abc import Callable
from datetime import datetime

from core.errors import RequestRejectedError
from core.http import Http
from core.platforms import Inbound, WebhookRequest, WebhookResult
from core.platforms.teams.hosts import is_known, split_hosts
from core.platforms.teams.inbound import signals
from core.platforms.teams.inbound.activity import Activity, object_of, read_activity, reject_malformed, text_of
from core.platforms.teams.inbound.keys import SigningKeys
from core.platforms.teams.inbound.messages import read_message
from core.platforms.teams.inbound.token import TokenVerifier
from core.platforms.teams.names import VERB
from core.strict_json import Json, read_object

_PATH = "/teams/messages"
_CHANNEL = "msteams"
_MAX_BODY_BYTES = 500_000  # five times the largest activity

type _Read = Callable[[Activity, datetime, str], WebhookResult]

_READERS: dict[str, _Read] = {
    "messageUpdate": signals.read_update,
    "messageDelete": signals.read_deletion,
    "messageReaction": signals.read_reaction,
    "installationUpdate": signals.read_installation,
    "conversationUpdate": signals.read_conversation_update,
    "invoke": signals.read_invoke,
}


def build(
    *, app_id: str, tenant_ids: str, service_hosts: str, openid_url: str, token_issuer: str, http: Http
) -> Inbound:
    """Teams's inbound half.

    Args:
        app_id: The app that tokens must be made for; empty: nobody is let in.
        tenant_ids: Tenants whose activities are taken, separated by commas; empty: any that installs the app.
        service_hosts: Hosts that answers may go to, separated by commas.
        openid_url: The metadata document that names the signing keys.
        token_issuer: Who makes the tokens.
        http: The way to the keys.
    """
    verifier = TokenVerifier(SigningKeys(openid_url, http), app_id=app_id, issuer=token_issuer)
    return TeamsInbound(verifier, app_id=app_id, tenants=split_hosts(tenant_ids), hosts=split_hosts(service_hosts))


class TeamsInbound:
    """Verifies and reads what the Bot Framework posts to `/teams/messages`."""

    def __init__(self, verifier: TokenVerifier, *, app_id: str, tenants: frozenset[str], hosts: frozenset[str]) -> None:
        self._verifier = verifier
        self._app_id = app_id
        self._tenants = tenants
        self._hosts = hosts

    def verify(self, request: WebhookRequest, now: datetime) -> None:
        """Return if the Bot Framework made the call for our app, and answers may go where the activity says.

        Raises:
            RequestRejectedError: 401 where the token is missing, forged or stale; 403 where it is another app's, or
                vouches neither for the activity's service URL nor for Teams; 404 where Teams is not set up here.
            RetryableError: The keys to check the token with cannot be fetched now.
        """
        if not self._app_id:  # before anything else: an empty audience would be a wildcard
            raise RequestRejectedError("teams-off", "this stack is told of no Teams app", status=404)
        proof = self._verifier.verify(request.headers.get("authorization", ""), now)
        fields = _read_body(request)
        if text_of(fields, "serviceUrl") != proof.service_url:
            message = "the token does not vouch for the activity's service URL"
            raise RequestRejectedError("service-url-wrong", message, status=403)
        if text_of(fields, "channelId") != _CHANNEL or _CHANNEL not in proof.endorsements:
            raise RequestRejectedError("not-endorsed", "the token's key may not speak for the channel", status=403)
        if not is_known(proof.service_url, self._hosts):
            raise RequestRejectedError("service-host-unknown", "answers may not go to that host", status=403)

    def parse(self, request: WebhookRequest, now: datetime) -> WebhookResult:
        """What the verified activity says, or why nothing comes of it.

        Raises:
            RequestRejectedError: 400 where it is malformed, 403 where its tenant is not served here, 404 and 405 where
                it is for somebody else, 413 where it is longer than anything Teams sends.
        """
        if request.path != _PATH:
            raise RequestRejectedError("unknown-path", f"Teams's activities go to {_PATH}", status=404)
        if request.method != "POST":
            raise RequestRejectedError("method-not-allowed", "Teams's activities are posted", status=405)
        fields = _read_body(request)
        kind = text_of(fields, "type")
        read = read_message if kind == "message" else _READERS.get(kind)
        if read is None:
            return WebhookResult(ignored="activity-type")
        activity = read_activity(fields, now)
        if self._tenants and activity.address.workspace_id not in self._tenants:
            raise RequestRejectedError("tenant-unknown", "that tenant is not served here", status=403)
        value = object_of(fields, "value")
        if kind == "message" and value and not fields.get("text"):  # a button whose client knows no Action.Execute
            return signals.read_button(activity, text_of(value, VERB), value, now, request.request_id[:128])
        return read(activity, now, request.request_id[:128])


def _read_body(request: WebhookRequest) -> Json:
    if len(request.body) > _MAX_BODY_BYTES:
        raise RequestRejectedError("too-large", "the call is longer than any activity of Teams's", status=413)
    fields = read_object(request.body)
    if fields is None:
        reject_malformed("body")
    return fields
