"""Organisations that send data or honour points: their keys, tokens and conditions.

Knows nothing of citizens. Others may call `organisations` and `errors`.
"""
