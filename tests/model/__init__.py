"""State machines against models."""
