"""The object stores that tests of volumes use."""

from __future__ import annotations

from tests.support.object_servers import aws_environment, azure, azurite_endpoint, fake, google, moto_endpoint, s3

__all__ = ["aws_environment", "azure", "azurite_endpoint", "fake", "google", "moto_endpoint", "s3"]
