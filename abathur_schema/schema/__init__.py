"""What tables and indexes are, as values; reading them back and comparing two.

May import: nothing but the root. Imported by: every wing.
"""
