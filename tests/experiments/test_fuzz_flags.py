"""Some hundred generated command lines end in runs or in one line; twenty thousand by hand (fuzz_flags.py)."""

import fuzz_flags
import pytest


def test_some_hundred_command_lines_are_accepted_or_refused_in_one_line():
    counts = fuzz_flags.run(400)
    assert counts["accepted"] > 40
    assert counts["refused"] > 40


@pytest.mark.slow
def test_twenty_thousand_command_lines_are_accepted_or_refused_in_one_line():
    assert sum(fuzz_flags.run(20_000).values()) >= 20_000
