"""The public log of every transfer: a Merkle tree, its signed heads and proofs for offline use.

Knows commitments, hashes, tiles and signatures. Does not know who calls, nor what a transfer is
for; what it commits to is `ledger.commitments`' word.
"""
