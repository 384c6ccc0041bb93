"""What people look at: the page, the diagram, the schema as a document, the formats of CI.

May import: all wings below it. Imported by: commands.
"""
