"""Measurements of volumes that are made without a client: each in a process of its own, `python -m bench.volumes NAME
DIRECTORY SHARE`, which prints its figures as JSON.
"""
