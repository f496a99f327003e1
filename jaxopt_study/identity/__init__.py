"""What a piece of code or data is, as a hash that is the same in every process."""

from jaxopt_study.identity.traced import traced_as
from jaxopt_study.identity.walk import identity

__all__ = ["identity", "traced_as"]
