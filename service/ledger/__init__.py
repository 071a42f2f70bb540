"""Lots, transfers, balances and their audit: where points and the grams behind them are.

The ledger knows accounts by an opaque citizen id and nothing else: not who she is, not what she
did, not who honours her points. Others call `lock_accounts`, `issue_lots`, `expire_lapsed_lots`,
`balance_from`, `statement_of` and `audited`.
"""
