"""."""

import sys

if sys.argv[0] == "-m":  # a command, of which nothing else is imported yet
    from experiments.command import process

    process.prepare()
