"""What papers claim, as numbers that a laptop can check: one file for each family of claims."""
