"""The gRPC client: a disk, and a catalogue, at another process."""
