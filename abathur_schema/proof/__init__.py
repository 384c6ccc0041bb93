"""What `verify` proves.

May import: schema, declared, storage. Imported by: record and all above.
"""
