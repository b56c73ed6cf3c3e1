"""The tenant, the places and the person that exist in a fresh fake Teams."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demo:
    """The ids of one tenant with our app installed; the defaults are the demo's."""

    tenant_id: str = "00000000-0000-4000-8000-00000000a001"
    app_id: str = "00000000-0000-4000-8000-00000000b001"
    app_secret: str = "teams-demo-secret"
    bot_id: str = "28:00000000-0000-4000-8000-00000000b001"
    bot_name: str = "Parley"
    user_id: str = "29:1demo-alice"
    user_object_id: str = "00000000-0000-4000-8000-00000000c001"
    user_name: str = "Alice Demo"
    user_email: str = "alice@demo.example"
    personal_id: str = "a:1demo-personal-chat-of-alice"
    group_id: str = "19:demo-group@thread.v2"
    channel_id: str = "19:demo-general@thread.tacv2"


DEMO = Demo()
