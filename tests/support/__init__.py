"""Real processes for the tests: target servers, gateways, and clients."""
