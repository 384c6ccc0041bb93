"""Tables and indexes as values: reading them from a database and comparing two schemas.

May import: nothing but the root. Imported by: every wing.
"""
