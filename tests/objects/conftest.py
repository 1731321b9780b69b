"""Servers that the tests of object stores talk to."""

from tests.support.object_servers import (
    aws_environment,
    azure,
    azurite_endpoint,
    fake,
    google,
    moto_endpoint,
    s3,
)

__all__ = ["aws_environment", "azure", "azurite_endpoint", "fake", "google", "moto_endpoint", "s3"]
