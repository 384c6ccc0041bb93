"""The SQLite store of an agent swarm: made, brought up to date, proven."""

__version__ = "0.1.0"
