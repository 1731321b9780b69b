"""Object stores of cloud providers, and what speaks their languages, through obstore."""

from g2disk.objects.cloud.opening import SCHEMES, open_cloud
from g2disk.objects.cloud.store import CloudObjects

__all__ = ["SCHEMES", "CloudObjects", "open_cloud"]
