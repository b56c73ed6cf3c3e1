"""The workspace, the channel and the people that exist in a fresh fake Slack."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demo:
    """The ids of one workspace with our app installed; the defaults are the demo's."""

    team_id: str = "T0DEMO0001"
    team_name: str = "Demo Ltd"
    app_id: str = "A0PARLEY01"
    bot_token: str = "xoxb-demo"
    bot_user_id: str = "U0PARLEY01"
    bot_id: str = "B0PARLEY01"
    channel_id: str = "C0GENERAL1"
    channel_name: str = "general"
    dm_channel_id: str = "D0ALICE001"
    user_id: str = "U0ALICE001"
    user_name: str = "alice"
    user_email: str = "alice@demo.example"


DEMO = Demo()
