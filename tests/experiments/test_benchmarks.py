import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from experiments.benchmarks import cases, peers_jax, throughput
from experiments.benchmarks.cases import Case, Peer
from experiments.benchmarks.measure import Failed, Plan, Row, ask, measure, missing, own_process
from experiments.benchmarks.peers_jax import ResNet
from jaxopt_study.models.build import article_model

ROOT = Path(__file__).parents[2]
TINY = Case("article", 4, 2, 4, 2, 0)
QUICK = Plan(repeats=2, seconds=0.0, longest=60.0)
# This project against a loop over a jitted step, 32 pixels, 16 configurations, two cores, g++: the benchmarks' README.
RECORDED_RATIO = 13.5
KNOWN = {peer.name: peer for peer in (*cases.OURS, *cases.PEERS)}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "experiments.benchmarks.throughput", *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_the_command_writes_its_numbers_and_its_figure(tmp_path: Path) -> None:
    small = ("--image_size=2", "--configs=1,2", "--batch_size=2", "--steps=2", "--repeats=2", "--seconds=0")
    result = command(*small, "--peers=none", "--ours=ours_plain", f"--output={tmp_path}/speed.json")
    assert result.returncode == 0, result.stderr
    assert "this project" in result.stdout
    rows = json.loads((tmp_path / "speed.json").read_text())["rows"]
    assert [(row["name"], row["case"]["configs"]) for row in rows] == [
        ("ours_plain", 1),
        ("ours_plain", 2),
        ("gemm", 1),
    ]
    assert all(len(row["rates"]) == 2 and min(row["rates"]) > 0 for row in rows)
    assert (tmp_path / "speed_article_2.png").stat().st_size > 10_000


def test_the_figure_shows_every_program_that_was_measured_each_in_a_look_of_its_own() -> None:
    case = Case("article", 32, 4, 32, 2, 0)
    rows = [Row(case, peer.name, peer.title, [1.0 + i, 2.0 + i]) for i, peer in enumerate(throughput.PROGRAMS.values())]
    axes = throughput.figure(rows, {32: 100.0}, "speed").axes[0]
    lines = axes.get_lines()
    assert {line.get_label() for line in lines} == {row.title for row in rows} | {"ceiling of the matrix products"}
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines}) == len(lines)


@pytest.mark.parametrize("flag", ["--image_size=1", "--configs=0", "--peers=caffe", "--models=vgg", "--batch_size=x"])
def test_a_bad_flag_ends_the_command_with_one_line(flag: str) -> None:
    result = command(flag)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {flag.split('=')[0]}")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(("size", "mflop"), [(32, 2.71), (64, 9.63), (128, 37.4)])
def test_the_work_of_an_example_is_that_of_its_products(size: int, mflop: float) -> None:
    assert cases.operations("article", size) == pytest.approx(1e6 * mflop, rel=0.005)


def test_the_work_of_the_residual_network_is_that_of_its_products() -> None:
    x = jnp.zeros((1, 32, 32, 3))
    variables = jax.eval_shape(ResNet().init, jax.random.key(0), x)
    products = []
    for equation in jax.make_jaxpr(ResNet().apply)(variables, x).eqns:
        if equation.primitive.name in ("conv_general_dilated", "dot_general"):
            kernel, out = equation.invars[1].aval, equation.outvars[0].aval
            products.append(kernel.size // out.shape[-1] * out.size)
    assert cases.operations("resnet", 32) == 2.0 * (3 * sum(products) - products[0])


def test_the_plain_network_of_the_peers_has_the_weights_of_this_project() -> None:
    network = article_model(kernels="plain").build((32, 32, 3), 1, 32)
    ours = jax.eval_shape(network.init, jax.random.key(0)).params
    image = jnp.zeros((1, 32, 32, 3))
    theirs = jax.eval_shape(lambda key: peers_jax.ArticleNet().init(key, image, False), jax.random.key(0))["params"]
    assert sorted(x.shape for x in jax.tree.leaves(ours)) == sorted(x.shape for x in jax.tree.leaves(theirs))


def test_a_program_that_fails_is_told_and_the_others_go_on() -> None:
    broken = Peer("broken", "broken", "peers_that_are_not_there")
    told: list[str] = []
    rows = measure([broken, cases.GEMM], [TINY], QUICK, told.append)
    assert [(row.name, len(row.rates)) for row in rows] == [("gemm", 2), ("broken", 0)]
    assert "ModuleNotFoundError" in rows[1].error
    assert any("broken: left out" in line for line in told)


def test_the_end_of_a_program_s_process_is_told() -> None:
    with own_process(cases.GEMM) as process:
        for _ in range(2):
            with pytest.raises(Failed, match="its process has ended"):
                ask(process, os._exit, 1)


def test_a_program_that_takes_too_long_is_left_out() -> None:
    (row,) = measure([cases.GEMM], [TINY], QUICK._replace(longest=0.0), lambda line: None)
    assert not row.rates
    assert "takes" in row.error


def test_what_is_not_installed_is_named_as_pip_knows_it() -> None:
    assert missing(Peer("p", "p", "m", needs={"jax": "jax", "no_such_module": "no-such-package"})) == [
        "no-such-package"
    ]


@pytest.mark.benchmark
def test_the_lead_over_a_jitted_loop_is_not_lost() -> None:
    work = Case("article", 32, 16, 32, 0, 0)
    plan = Plan(repeats=5, seconds=0.5, longest=120.0)
    ours, loop, _ = measure([KNOWN["ours"], KNOWN["jax_loop"], cases.GEMM], [work], plan, lambda line: None)
    ratio = ours.median / loop.median
    assert ratio > 0.7 * RECORDED_RATIO, f"{ours.median:.0f} against {loop.median:.0f} ex/s"
