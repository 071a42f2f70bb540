"""Grades (浅绿, 中绿, 深绿): rules that two people decide, assessments with reasons, human review.

Nothing here holds a threshold: without rules that somebody entered with a source, nobody has a
grade. Others may call `assessing` and read what it returns.
"""
