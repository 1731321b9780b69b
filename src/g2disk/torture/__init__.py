"""Requests and faults against a target server, and a judge of every byte that it gives."""
