"""Distances between sets of clouds, and the scores built of them."""
