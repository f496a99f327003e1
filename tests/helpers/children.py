"""Processes that tests start: what one of them has compiled, the others need not."""

import os

ENVIRONMENT = {
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "JAX_COMPILATION_CACHE_DIR": os.path.join(
        os.environ["XDG_CACHE_HOME"], "children"
    ),  # of the session's, see conftest
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
}
