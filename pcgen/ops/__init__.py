"""Kernels: tensors and pointers in, tensors out."""
