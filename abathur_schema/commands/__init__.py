"""The tasks: from options to an exit code, and what a person reads.

May import: all wings but application. Imported by: `tasks.py`.
"""
