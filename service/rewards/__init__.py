"""What points and grades are good for: offers, redemptions, entitlements, settlement.

Others may call `offers.catalogue`, `grades.assessing` and `redemptions` by what they return.
"""
