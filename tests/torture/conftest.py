"""An S3 server for the stores that are tortured."""

from tests.support.object_servers import aws_environment, moto_endpoint, s3

__all__ = ["aws_environment", "moto_endpoint", "s3"]
