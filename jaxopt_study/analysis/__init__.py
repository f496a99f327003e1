"""From runs to numbers: selection, minima, the best, and intervals over seeds. Nothing here needs JAX."""
