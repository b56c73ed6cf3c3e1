"""Names that our blocks carry into Slack and that come back with what a person does with them."""

STOP_ACTION = "parley_stop"
FEEDBACK_ACTION = "parley_feedback"
APPROVE_ACTION = "parley_approve"
DENY_ACTION = "parley_deny"
COMMENT_FORM = "parley_comment"
COMMENT_FIELD = "comment"
ASK_SHORTCUT = "ask_about_this"
COMMAND_MARK = "command-"  # begins the id of a message that is a command; no id of Slack's begins so
