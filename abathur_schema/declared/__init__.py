"""What must be: `sql/` and `checks/`, read.

May import: schema. Imported by: every wing above.
"""
