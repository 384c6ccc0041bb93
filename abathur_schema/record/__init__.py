"""What is known about a run: the report, the preserved state, the escalation.

May import: all wings below it. Imported by: commands, application.
"""
