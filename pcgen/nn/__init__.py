"""Blocks, encoders, decoders and critics for clouds."""
