"""More machines than one: which table goes where on Citus, and sending it there.

Knows the names of tables and nothing of what they mean; nobody imports it but the command line.
"""
