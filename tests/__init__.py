"""The tests. `README.md` here says how to begin."""
