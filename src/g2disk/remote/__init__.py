"""The gRPC client: a disk, and a catalogue, at another process."""

import os

# gRPC's core writes a line of its own to standard error for every connection that ends; what matters is in our errors.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
