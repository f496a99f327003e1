"""Kernels in C++ for what XLA's CPU backend does slowly, compiled on the user's machine where it has a compiler."""
