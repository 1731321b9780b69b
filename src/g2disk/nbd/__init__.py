"""The NBD protocol without input and output: bytes in, events out."""
