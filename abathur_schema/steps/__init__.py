"""Running statements, one transaction for each step.

May import: schema, declared, storage, planning. Imported by: record and all above.
"""
