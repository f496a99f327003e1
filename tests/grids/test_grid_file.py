"""Grids of a file and of ranges in flags: what they train, and what is refused."""

from pathlib import Path

import commands
import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import compare, momentum_grid, nesterov_grid, replicate
from experiments.command import flags as command_flags
from experiments.command import grid_flags
from jaxopt_study.errors import InputError
from jaxopt_study.grids import file as grid_file

WHOLE = """
[[grid]]
optimizer = ["momentum", "sgd"]
axes.learning_rate = "1e-3:1e-1:decade"
axes.momentum = [0.5, 0.99]
when.momentum = "optimizer != 'sgd'"
where = "learning_rate / (1 - momentum) <= 1"
points = [{learning_rate = 0.5}]

[[grid]]
optimizer = "adam"
axes.learning_rate = "1e-4:1e-1:log"
axes.b1 = [0.5, 0.9]
axes.b2 = [0.9, 0.999]
paired = ["b1", "b2"]
samples = 4
sampler = "sobol"
seed = 1
"""


def ordered(experiment, *arguments):
    """What the flags ask for."""
    with flagsaver.flagsaver():
        command_flags.define(experiment)
        flags.FLAGS.unparse_flags()
        flags.FLAGS(["command", *arguments])
        return grid_flags.asked(experiment, command_flags.value("seeds", experiment))


def numbers(runs, optimizer, *names):
    return [tuple(dict(run.hyperparameters)[name] for name in names) for run in runs if run.optimizer == optimizer]


def test_a_file_lists_what_flags_cannot_say(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(WHOLE)
    runs = grid_file.read(path, 1)
    assert numbers(runs, "momentum", "learning_rate", "momentum") == [
        (0.001, 0.5), (0.001, 0.99), (0.01, 0.5), (0.01, 0.99), (0.1, 0.5), (0.5, 0.9),
    ]  # fmt: skip
    assert numbers(runs, "sgd", "learning_rate") == [(0.001,), (0.01,), (0.1,), (0.5,)]
    adam = numbers(runs, "adam", "b1", "b2")
    assert sorted(adam) == [(0.5, 0.9)] * 4 + [(0.9, 0.999)] * 4
    assert len({rate for (rate,) in numbers(runs, "adam", "learning_rate")}) == 4
    assert [run.seed for run in grid_file.read(path, 2)[:4]] == [0, 1, 0, 1]


BAD = [
    # text, what the line says
    ("", "[[grid]]"),
    ("grid = 3", "[[grid]]"),
    ("grid = []", "[[grid]]"),
    ("grid = [1]", "[[grid]]"),
    ("[[grid]", "TOML"),
    ("\x00", "TOML"),
    ("[" * 5000, "TOML"),
    ("[[grids]]\noptimizer = 'sgd'", "did you mean grid"),
    ("[[grid]]", "optimizer"),
    ("[[grid]]\noptimizer = 3", "optimizer=3"),
    ("[[grid]]\noptimizer = [3]", "optimizer=[3]"),
    ("[[grid]]\noptimizer = []", "optimizer=[]"),
    ("[[grid]]\noptimizer = 'adm'", "did you mean adam"),
    ("[[grid]]\noptimizer = 'sgd'\naxis = {}", "did you mean axes"),
    ("[[grid]]\noptimizer = 'sgd'\naxes = 3", "axes=3"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rat = 3", "did you mean learning_rate"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = true", "learning_rate=True"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = [[1]]", "learning_rate=[1]"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = {a = 1}", "learning_rate="),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = 1979-05-27", "learning_rate=1979"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = -1", "learning_rate=-1"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = 1" + "0" * 400, "learning_rate=1"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = 'x'", "learning_rate=x"),
    ("[[grid]]\noptimizer = 'sgd'\naxes.learning_rate = '1e-4:1:log'", "samples"),
    ("[[grid]]\noptimizer = 'sgd'\nsamples = 3", "samples=3"),
    ("[[grid]]\noptimizer = 'sgd'\nsamples = true", "samples=True"),
    ("[[grid]]\noptimizer = 'sgd'\nsampler = 'best'", "sampler=best"),
    ("[[grid]]\noptimizer = 'sgd'\nwhere = 3", "where=3"),
    ("[[grid]]\noptimizer = 'sgd'\nwhere = 'open(1) < 2'", "where"),
    ("[[grid]]\noptimizer = 'sgd'\nwhere = 'momentum < 1'", "momentum"),
    ("[[grid]]\noptimizer = 'sgd'\nwhen = {learning_rate = 3}\naxes.learning_rate = 1", "when learning_rate=3"),
    ("[[grid]]\noptimizer = 'sgd'\npaired = [1]", "paired=[1]"),
    ("[[grid]]\noptimizer = 'sgd'\npoints = [1]", "points=1"),
    ("[[grid]]\noptimizer = 'sgd'\npoints = [{learning_rate = 'x'}]", "learning_rate=x"),
    ("[[grid]]\noptimizer = 'sgd'\n[[grid]]\noptimizer = 'sgd'\nsed = 1", "number 2"),
]


@pytest.mark.parametrize(("text", "part"), BAD, ids=[text[:60].replace("\n", ";") for text, _ in BAD])
def test_a_bad_file_is_refused_in_one_line_that_names_it(text, part, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        grid_file.read(path, 1)
    line = str(refused.value)
    assert line.startswith(f"grid={path}")
    assert part in line
    assert len(line.splitlines()) == 1


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for path in (tmp_path, tmp_path / "none", tmp_path / "binary", tmp_path / ("x" * 400)):
        with pytest.raises(InputError, match="grid="):
            grid_file.read(path, 1)


def test_a_byte_order_mark_and_other_ends_of_lines_are_read(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_bytes(b"\xef\xbb\xbf[[grid]]\r\noptimizer = 'sgd'\r\n")
    assert len(grid_file.read(path, 2)) == 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[[grid]]\noptimizer='sgd'\naxes.learning_rate='1e-4:1:log9000'\n" * 20, "number 12: "),
        ("[[grid]]\noptimizer='sgd'\n#" + "x" * 2**20, "more than 1048576 bytes"),
        ("[[grid]]\n" + ".".join("a" * 20_000) + " = 1", "keys of more than 32 parts"),
        ("[[grid]]\n'a" + "'.'".join("a" * 20_000) + "' = 1", "keys of more than 32 parts"),
        ("[[grid]]\n" + "a" * 100_000 + " = 1", " .. "),
    ],
)
def test_files_that_would_keep_the_machine_busy_are_refused_at_once(text, part, tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        grid_file.read(path, 1)
    assert part in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_a_file_without_an_end_is_refused():
    with pytest.raises(InputError, match="grid=/dev/zero"):
        grid_file.read(Path("/dev/zero"), 1)


def test_a_condition_may_leave_none_of_one_optimizer_but_not_of_all(tmp_path):
    path = tmp_path / "grid.toml"
    table = "[[grid]]\noptimizer = ['sgd', 'adam']\naxes.learning_rate = [0.1, 0.2]\n"
    path.write_text(table + "where = 'optimizer == \"adam\"'")
    assert {run.optimizer for run in grid_file.read(path, 1)} == {"adam"}
    path.write_text(table + "where = 'learning_rate > 1'")
    with pytest.raises(InputError, match=r"leaves none of 2 points; there are learning_rate 0\.1, 0\.2"):
        grid_file.read(path, 1)


def test_a_grid_of_too_many_runs_is_refused_before_it_is_made(tmp_path):
    path = tmp_path / "grid.toml"
    path.write_text("[[grid]]\noptimizer='sgd'\naxes.learning_rate='1e-9:1:log9000'")
    with pytest.raises(InputError, match="seeds=1000000"):
        grid_file.read(path, 1_000_000)


def test_flags_take_ranges_pairs_samples_and_conditions(tmp_path):
    there = f"--workdir={tmp_path}"
    rates = "--learning_rates=1e-3:1e-1:half_decade"
    asked = ordered(momentum_grid.EXPERIMENT, there, rates, "--momenta=0:0.9:linear4,0.99", "--seeds=1")
    assert len(asked.runs) == 25
    assert asked.drawn["momentum_grid"]["momenta"] == [0.0, 0.3, 0.6, 0.9, 0.99]
    sampling = ("--momenta=0:0.99:linear", "--samples=8", "--sampler=sobol", "--seeds=1")
    asked = ordered(momentum_grid.EXPERIMENT, there, "--learning_rates=1e-4:1:log", *sampling)
    assert len(asked.runs) == 8
    assert asked.drawn == {"momentum_grid": None}
    pairs = ("--learning_rates=0.1,0.01", "--momenta=0.5,0.9", "--paired=learning_rates,momenta", "--seeds=1")
    runs = ordered(momentum_grid.EXPERIMENT, there, *pairs).runs
    assert numbers(runs, "momentum", "learning_rate", "momentum") == [(0.1, 0.5), (0.01, 0.9)]
    condition = "--where=momentum < 0.9 or learning_rate <= 0.002"
    runs = ordered(momentum_grid.EXPERIMENT, there, condition, "--seeds=1").runs
    assert len(runs) == 2 * 5 + 3
    runs = ordered(replicate.EXPERIMENT, there, "--where=optimizer == 'adam'").runs
    assert {run.optimizer for run in runs} == {"adam"}


@pytest.mark.parametrize(
    ("module", "given", "part"),
    [
        (momentum_grid, ("--learning_rates=1e-3:1:half_decades",), "--learning_rates=1e-3:1:half_decades"),
        (momentum_grid, ("--learning_rates=1e-3:1:log",), "--samples=none"),
        (momentum_grid, ("--samples=4",), "--samples=4"),
        (momentum_grid, ("--learning_rates=1e-3:1:log", "--samples=0"), "samples"),
        (momentum_grid, ("--sampler=best",), "sampler"),
        (momentum_grid, ("--paired=learning_rates,momentun",), "did you mean momenta"),
        (momentum_grid, ("--paired=learning_rates",), "--paired="),
        (momentum_grid, ("--where=momentun < 1",), "did you mean momentum"),
        (momentum_grid, ("--where=momentum > 1",), "none of the 50 runs is left; there are momentum 0, 0.5, 0.9"),
        (momentum_grid, ("--seeds=1000000000000",), "--seeds=1000000000000"),
        (momentum_grid, ("--learning_rates=0.1:1:log9999", "--momenta=0:0.9:linear9999"), "100000"),
        (replicate, ("--seeds=99999",), "--seeds=99999"),
        (momentum_grid, ("--grid=none.toml",), "--grid=none.toml"),
        (momentum_grid, ("--grid={grid}", "--momenta=0.1"), "--momenta"),
        (momentum_grid, ("--grid={grid}", "--where=b3 < 1"), "b3"),
    ],
)
def test_what_flags_cannot_mean_is_refused_in_one_line(module, given, part, tmp_path, capsys):
    (tmp_path / "grid.toml").write_text(WHOLE)
    given = [text.replace("{grid}", str(tmp_path / "grid.toml")) for text in given]
    assert commands.run(module, f"--workdir={tmp_path / 'w'}", *given) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert part in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("module", [nesterov_grid, compare])
def test_a_grid_file_takes_the_place_of_an_experiments_runs(module, tmp_path, capsys):
    path = tmp_path / "grid.toml"
    path.write_text("[[grid]]\noptimizer = ['nesterov', 'adam']\naxes.learning_rate = '1e-3:1e-2:decade'")
    flags = (*commands.TINY, f"--grid={path}", f"--workdir={tmp_path / 'w'}")
    assert commands.run(module, *flags, "--dry_run") == 0
    told = capsys.readouterr().out
    assert "adam: 2 configurations x 1 seeds: learning_rate 0.001, 0.01; b1 0.9" in told.replace("\n", " ")
    assert "4 runs to train" in told
    assert commands.run(module, *flags) == 0
    assert len(list((tmp_path / "w" / "runs").glob("*.parquet"))) == 4
    assert (tmp_path / "w" / "report.html").exists()
