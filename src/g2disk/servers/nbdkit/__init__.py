"""The gateway inside nbdkit: its Python plugin, and the bridge from nbdkit's threads to one event loop."""
