"""Lots, transfers, balances and their audit: where points and the grams behind them are.

The ledger knows accounts by an opaque citizen id and nothing else: not who she is, not what she
did, not who honours her points. Others call `lock_accounts` and `issue_lots`; `hold`, `capture`,
`release`, `restore`, `pool`, `donate`, `retire`, `extend` and `invalidate`; `balance_from`,
`lots_as_of` and `statement_of`; `expire_lapsed_lots` and `audited`.
"""
