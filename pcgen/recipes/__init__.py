"""Named models, composed from parts by typed functions."""
