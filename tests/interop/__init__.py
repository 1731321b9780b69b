"""g2disk beside programs that know nothing of it."""
