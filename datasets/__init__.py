"""Data sets and simulations, one file each, and the small shipped samples."""
