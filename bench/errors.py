"""What can go wrong with a benchmark."""


class BenchError(Exception):
    """One line that says what to do next."""
