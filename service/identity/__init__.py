"""People: citizens and staff, how they sign in, what they consent to, and how they leave.

Knows partners' names and nothing of activities or points. Others may call `source_links`,
`citizens`, `erasure` and `consequences`.
"""
