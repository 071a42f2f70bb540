"""A partner that is none: a program beside the service that honours points over HTTP alone.

It knows what any bank's engineer knows, which is the partner guide, and never the database.
"""
