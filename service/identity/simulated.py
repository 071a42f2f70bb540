"""Citizens made up for old files and demonstrations: marked so, made by the hundred thousand."""

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg

from service.identity.consent import CONSENT
from service.identity.models import SECRET_BYTES

_WITHOUT_LINK = """
SELECT digest FROM unnest(%s::bytea[]) AS digest
WHERE NOT EXISTS (
    SELECT FROM source_link
    WHERE source_id = %s AND account_digest = digest AND state = 'active')
GROUP BY digest ORDER BY digest
"""

_CITIZENS = """
INSERT INTO citizen (citizen_id, simulated, last_seen_at)
SELECT citizen_id, true, %s FROM unnest(%s::uuid[]) AS citizen_id
"""

_SECRETS = """
INSERT INTO citizen_secret (citizen_id, secret)
SELECT * FROM unnest(%s::uuid[], %s::bytea[])
"""

_LINKS = """
INSERT INTO source_link (source_id, account_digest, id, citizen_id, account_key_version,
    account_masked, state, simulated, consent_purpose, consent_version, consent_digest,
    requested_at, linked_at)
SELECT %s, account_digest, id, citizen_id, %s, '****', 'active', true, %s, %s, %s, %s, %s
FROM unnest(%s::bytea[], %s::uuid[], %s::uuid[]) AS new (account_digest, id, citizen_id)
"""


def create_simulated_citizens(
    connection: psycopg.Connection[Any],
    source_id: UUID,
    account_digests: Sequence[bytes],
    *,
    since: datetime,
    account_key_version: int,
) -> int:
    """Make one simulated citizen, with an active link, for each account that nobody holds.

    Args:
        connection: inside the entry point's transaction.
        source_id: whose accounts they are.
        account_digests: from `source_links.account_digest`; repeats and linked
            ones are passed over.
        since: the moment the links begin.
        account_key_version: of the key that made the digests (`keys.account_key.version`).

    Returns:
        How many citizens were made.
    """
    new = [row[0] for row in connection.execute(_WITHOUT_LINK, [list(account_digests), source_id])]
    citizens = [uuid4() for _ in new]
    noise = os.urandom(SECRET_BYTES * len(new))
    secrets = [noise[at : at + SECRET_BYTES] for at in range(0, len(noise), SECRET_BYTES)]
    connection.execute(_CITIZENS, [since, citizens])
    connection.execute(_SECRETS, [citizens, secrets])
    connection.execute(
        _LINKS,
        [
            source_id,
            account_key_version,
            CONSENT.purpose,
            CONSENT.version,
            CONSENT.digest,
            since,
            since,
            new,
            [uuid4() for _ in new],
            citizens,
        ],
    )
    return len(new)
