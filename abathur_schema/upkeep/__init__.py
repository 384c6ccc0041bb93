"""The database in operation: its state, copies of it, its space, and what is old.

May import: all wings below it. Imported by: commands.
"""
