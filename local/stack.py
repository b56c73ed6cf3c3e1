"""The file in which a local stack says where everything is: `.local/stack.json`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

PROJECT = Path(__file__).resolve().parent.parent


class QueueUrls(BaseModel):
    """URL of each queue."""

    model_config = ConfigDict(frozen=True)

    messages: str
    messages_dead_letter: str
    messages_parked: str
    signals: str
    imports: str


class Demo(BaseModel):
    """The company, the person and the Slack workspace that a fresh stack knows."""

    model_config = ConfigDict(frozen=True)

    company_id: str
    user_id: str
    user_email: str
    team_id: str
    channel_id: str
    slack_user_id: str
    bot_user_id: str
    bot_id: str


class Stack(BaseModel):
    """A running local stack: its addresses, its names, and the keys of its administrator."""

    model_config = ConfigDict(frozen=True)

    port: int
    api_url: str
    endpoint_url: str
    region: str
    stage: str
    stack_name: str
    table_name: str
    bucket_name: str
    queue_urls: QueueUrls
    slack_signing_secret_name: str
    slack_signing_secret: str
    slack_bot_token: str
    slack_api_base_url: str
    fake_slack_url: str | None
    teams_app_id: str
    teams_app_secret_name: str
    fake_teams_url: str
    model_base_url: str
    openai_model: str
    standin_model: bool
    aws_access_key_id: str
    aws_secret_access_key: str
    logs_dir: Path
    demo: Demo

    @classmethod
    def read(cls, path: Path) -> "Stack | None":
        """The stack a file describes, if there is one."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, path: Path) -> None:
        """Leave the description at `path`, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(self.model_dump_json(indent=2) + "\n")
        draft.replace(path)
