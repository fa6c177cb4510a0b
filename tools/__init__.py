"""Tools of the house: own lints, budgets, drawings."""
