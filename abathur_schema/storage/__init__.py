"""Files and connections: the only place that opens, copies, syncs and locks a database.

May import: schema, declared. Imported by: steps, proof and all above them.
"""
