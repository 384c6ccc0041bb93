"""From a difference to the cheapest statements that remove it; nothing here touches a file.

May import: schema, declared. Imported by: steps and all above.
"""
