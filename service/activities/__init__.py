"""From a reported act to certified grams: intake, checks, quantification, certification, appeals.

This package knows who holds an account (identity), what a methodology says (methodologies) and how
points are issued (ledger). It knows nothing of rewards, programmes or units.
"""
