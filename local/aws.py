"""The emulated AWS of a local stack, as its administrator sees it."""

import os
from pathlib import Path

import boto3

from local.processes import Program, start
from local.tools import install

REGION = "us-east-1"
ACCOUNT = "000000000000"
ADMIN_KEY = "test"  # the emulator's root user, whatever it enforces for others
ADMIN_SECRET = "test"

# A function inherits the emulator's environment: nothing of the developer's own may leak into it but the way out.
_WAY_OUT = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")
_INHERITED = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", *_WAY_OUT)


def start_emulator(port: int, folder: Path, *, log: Path, is_iam_enforced: bool) -> Program:
    """Start the emulator on a loopback port; all it writes goes below `folder`."""
    scratch = folder / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env |= {
        "HOME": str(folder),
        "TMPDIR": str(scratch),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",  # queue URLs carry it; `localhost` may mean IPv6
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true" if is_iam_enforced else "false",
        # Listeners on fixed ports: two stacks would fight for them.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    return start("local cloud", [install("ministack")], env=env, log=log, cwd=folder)


class Aws:
    """The administrator's clients."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        session = boto3.Session(aws_access_key_id=ADMIN_KEY, aws_secret_access_key=ADMIN_SECRET, region_name=REGION)
        self.apigateway = session.client("apigatewayv2", endpoint_url=endpoint_url)
        self.cloudformation = session.client("cloudformation", endpoint_url=endpoint_url)
        self.functions = session.client("lambda", endpoint_url=endpoint_url)
        self.iam = session.client("iam", endpoint_url=endpoint_url)
        self.logs = session.client("logs", endpoint_url=endpoint_url)
        self.s3 = session.client("s3", endpoint_url=endpoint_url)
        self.secrets = session.client("secretsmanager", endpoint_url=endpoint_url)

    def environment(self) -> dict[str, str]:
        """The variables that make any AWS program talk to this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ADMIN_KEY,
            "AWS_SECRET_ACCESS_KEY": ADMIN_SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def write_secret(self, name: str, value: str) -> None:
        """Create a secret, or give it a new value."""
        try:
            self.secrets.create_secret(Name=name, SecretString=value)
        except self.secrets.exceptions.ResourceExistsException:
            self.secrets.put_secret_value(SecretId=name, SecretString=value)
