"""What partners are told: events in a gapless row for each, sent to their endpoints, signed.

Whoever changes something writes an event beside the change (`service.partners.events`); the rest
happens here after the commit. Others may call `sequencing`.
"""
