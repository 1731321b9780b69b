"""New identities and instances: the one place where they are made up."""

from __future__ import annotations

import uuid


def new_identity() -> str:
    """A name that nothing else has ever had."""
    return str(uuid.uuid4())
