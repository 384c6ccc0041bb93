"""The async face, for the application that uses the database.

May import: all wings but commands. Imported by: applications.
"""
