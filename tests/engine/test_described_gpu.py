"""What the study's epoch is on a GPU, seen on a machine without one: as it is lowered, and as XLA compiles it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from experiments.benchmarks import described
from experiments.benchmarks.compiled import step_of
from jaxopt_study.engine.memory import MARGIN

SLOTS = 64
# At most so many kernels a step, megabytes read and written for an example and configuration, megabytes of temporaries
# a slot. With jaxlib 0.11.2 in November 2026 they are 179, 8.5, 49 and, with kernels in CUDA, 79, 1.72, 27.4; with
# blocks of theirs that are linked 79, 1.62, 24.9.
BUDGETS = {"fast": (195, 9.0, 55.0), "cuda": (83, 1.8, 29.0), "cuda_linked": (83, 1.7, 26.5)}


def products(text):
    """What each product of a lowered program asks for."""
    lines = [line for line in text.splitlines() if "stablehlo.dot_general" in line]
    found = [re.search(r"algorithm = <[^>]*>", line) or re.search(r"precision = \[.*?\]", line) for line in lines]
    assert lines
    assert all(found)
    return {asked[0] for asked in found}


@pytest.mark.parametrize(
    ("precision", "asked"),
    [("float32", {"precision = [HIGHEST, HIGHEST]"}), ("tensorfloat32", {"precision = [HIGH, HIGH]"})],
)
def test_all_products_of_an_epoch_are_in_the_precision_asked_for_and_none_is_a_convolution(precision, asked):
    text = described.lowered(jax.devices()[0], 3, pixels=32, precision=precision).as_text()
    assert products(text) == asked
    assert "stablehlo.convolution" not in text


def test_products_of_three_coarse_ones_are_asked_for_as_such():
    text = described.lowered(jax.devices()[0], 3, pixels=32, precision="float32x3").as_text()
    (asked,) = products(text)
    assert "tf32" in asked
    assert "num_primitive_operations = 3" in asked


def test_a_plain_convolution_of_many_runs_is_seen():
    text = described.lowered(jax.devices()[0], 3, pixels=32, kernels="plain").as_text()
    assert re.search(r"feature_group_count = [2-9]", text)


@pytest.mark.parametrize("kernels", BUDGETS)
def test_the_program_for_an_h100_stays_within_its_budgets(tmp_path, kernels):
    pytest.importorskip("jax_cuda13_plugin")
    line = [
        sys.executable,
        "-m",
        "experiments.benchmarks.described",
        f"--slots={SLOTS}",
        f"--kernels={kernels}",
        f"--output={tmp_path}/made.json",
    ]
    subprocess.run(line, cwd=Path(__file__).parents[2], check=True, timeout=900)
    (made,) = json.loads((tmp_path / "made.json").read_text())
    assert made["products"].keys() == {"highest"}
    assert made["convolutions"] == 0
    found = made["kernels_a_step"], made["megabytes"], made["megabytes_a_slot"]
    assert all(number <= most for number, most in zip(found, BUDGETS[kernels], strict=True)), found
    assert 256e6 * made["megabytes_a_slot"] < MARGIN * described.H100["device_memory_size"]


HLO = """
HloModule m

%body (p: (s32[], f32[8,4], u8[5,8])) -> (s32[], f32[8,4], u8[5,8]) {
  %p = (s32[], f32[8,4]{1,0}, u8[5,8]{1,0}) parameter(0)
  %a = f32[8,4]{1,0} get-tuple-element(%p), index=1
  %i = u8[5,8]{1,0} get-tuple-element(%p), index=2
  %f = f32[8,4]{1,0} fusion(%a, %i), kind=kLoop, calls=%inner
  %c = (f32[4,4]{1,0}, s8[64]{0}) custom-call(%f, %f), custom_call_target="__cublas$gemm", backend_config={"gemm_backend_config":{"precision_config":{"operand_precision":["HIGHEST","HIGHEST"],"algorithm":"ALG_UNSET"}}}
  ROOT %t = (s32[], f32[8,4]{1,0}, u8[5,8]{1,0}) tuple(%a, %f, %i)
}

ENTRY %main (x: f32[8,4]) -> f32[8,4] {
  %x = f32[8,4]{1,0} parameter(0)
  %d = f32[8,8]{1,0} dot(%x, %x), lhs_contracting_dims={1}, rhs_contracting_dims={1}, algorithm=dot_tf32_tf32_f32_x3
  %w = (s32[], f32[8,4]{1,0}, u8[5,8]{1,0}) while(%x), condition=%cond, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %v = f32[8,4]{1,0} convolution(%x, %x), feature_group_count=2
}
"""  # noqa: E501


def test_a_step_is_counted_from_the_text_of_a_program():
    step = step_of(HLO, 5)
    assert [(kernel.kind, kernel.bytes) for kernel in step.kernels] == [
        ("fusion", 128 + 8 + 128),  # of the batches one
        ("__cublas$gemm", 128 + 128 + 64 + 64),
    ]
    assert step.products == {"highest": 1, "dot_tf32_tf32_f32_x3": 1}
    assert step.convolutions == 1
    with pytest.raises(ValueError, match="0 loops of 6 turns"):
        step_of(HLO, 6)
