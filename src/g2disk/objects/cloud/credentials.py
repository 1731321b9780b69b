"""AWS credentials from the shared file, which obstore does not read.

The environment (AWS_ACCESS_KEY_ID), web identities, containers and instances are obstore's own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path

from g2disk.errors import Denied

_NAMES = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}

_OTHERS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
"""Variables that say where else credentials come from."""


def aws_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The keys of profile AWS_PROFILE ("default") in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), as obstore
    names them.

    Empty where the environment names another source, or where there is no such file or profile.  Raises `Denied` where
    one that was named is not there, or does not read.
    """
    if any(environment.get(name) for name in _OTHERS):
        return {}
    named = environment.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(named) if named else Path(environment.get("HOME", "/")) / ".aws" / "credentials"
    profile = environment.get("AWS_PROFILE", "default")
    try:
        parser = ConfigParser(interpolation=None)
        parser.read_string(path.read_text())
    except FileNotFoundError:
        if named:
            raise Denied(f"AWS_SHARED_CREDENTIALS_FILE={named}: there is no such file") from None
        return {}
    except (OSError, UnicodeDecodeError, Error) as error:
        raise Denied(f"{path} does not read as AWS credentials: {type(error).__name__}") from error
    if profile not in parser:
        if "AWS_PROFILE" in environment:
            raise Denied(f"{path} has no profile '{profile}'")
        return {}
    return {ours: parser[profile][theirs] for theirs, ours in _NAMES.items() if theirs in parser[profile]}
