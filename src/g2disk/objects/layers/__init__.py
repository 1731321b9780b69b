"""Object stores around an object store.

From the outside in: `Waiting` or `Retrying`, then `Metered`, which so counts every attempt, then `Faulty` in tests.
"""

from g2disk.objects.layers.faulty import Fault, Faulty, Plan, dice, script
from g2disk.objects.layers.metered import PRICES, Metered, Prices, Usage
from g2disk.objects.layers.retrying import Retrying
from g2disk.objects.layers.waiting import Trouble, Waiting
from g2disk.objects.layers.wrapper import Wrapper

__all__ = [
    "PRICES",
    "Fault",
    "Faulty",
    "Metered",
    "Plan",
    "Prices",
    "Retrying",
    "Trouble",
    "Usage",
    "Waiting",
    "Wrapper",
    "dice",
    "script",
]
