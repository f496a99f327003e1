"""A study on a Ray cluster: a driver hands runs out, workers train them with the engine of one machine.

Nothing here is imported, and nothing of Ray, unless a cluster is asked for.
"""
