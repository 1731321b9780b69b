"""A deterministic simulation of client, network and server: one event loop, virtual time, seeded faults, a checker."""
