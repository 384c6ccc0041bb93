"""What must exist: `sql/` and `checks/`, as values.

May import: schema. Imported by: every wing above.
"""
