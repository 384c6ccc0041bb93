"""The SQLite store of an agent swarm: made, finished, proven."""

__version__ = "0.1.0"
