"""Slack: Events API in, Web API out."""
