"""A simulated month of a small city, played through the HTTP API of a running service.

Only what an operator does on the command line (registering sources, adding a verifier and a rules
version) goes to the database; everything else is done as its real actors do it, over HTTP.
"""
