"""Layers for training many configurations of one network at once, and the forms they are tested against."""
