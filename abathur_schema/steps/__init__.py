"""Statements run, one transaction a step.

May import: schema, declared, storage, planning. Imported by: record and all above.
"""
