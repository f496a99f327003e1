"""Measurements of this project: speed against its peers, resumption after kills."""
