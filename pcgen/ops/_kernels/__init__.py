"""Compiled, Triton and reference kernels behind the public modules of :mod:`pcgen.ops`."""
