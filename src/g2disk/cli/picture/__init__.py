"""Pictures of a disk: what is written where, how old it is, and what its segments hold."""
