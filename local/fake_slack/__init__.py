"""A Slack to work against: the Web API over real HTTP, with Slack's rules, and a window on what a person would see."""

from local.fake_slack.demo import DEMO, Demo
from local.fake_slack.faults import Failure, FailureMode
from local.fake_slack.server import Call, FakeSlack
from local.fake_slack.state import SeenMessage

__all__ = ["DEMO", "Call", "Demo", "Failure", "FailureMode", "FakeSlack", "SeenMessage"]
