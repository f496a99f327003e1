"""The flags that say on which machines a study trains."""

import subprocess
import sys

import commands
import pytest

from experiments import momentum_grid

BAD = [
    (("--cluster=nowhere",), "--cluster=nowhere: allowed are local, auto"),
    (("--cluster=ray://host",), "--cluster=ray://host: allowed are"),
    (("--cluster=local", "--devices=2"), "--devices=2: not allowed with --cluster"),
    (("--cluster=local", "--distributed"), "--distributed=True: not allowed with --cluster"),
    (("--cpus_per_worker=1",), "--cpus_per_worker=1: allowed with --cluster only"),
    (("--process_id=0",), "--process_id=0: allowed with --distributed only"),
    (("--distributed", "--processes=2", "--process_id=2"), "--process_id=2: allowed is a whole number from 0"),
]


@pytest.mark.parametrize(("flags", "message"), BAD)
def test_flags_that_cannot_be_used_are_refused_in_one_line(flags, message, tmp_path, capsys):
    pytest.importorskip("ray", reason="Ray is the extra 'cluster'")
    assert commands.run(momentum_grid, *commands.TINY, *flags, f"--workdir={tmp_path / 'w'}") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {message}")
    assert told.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_nothing_of_ray_is_imported_unless_a_cluster_is_asked_for():
    code = "import sys, experiments.momentum_grid, experiments.command.flags; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
