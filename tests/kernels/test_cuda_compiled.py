"""The kernels in CUDA compiled by nvcc, where it is (`pip install '.[nvcc]'`): a minute on two cores, no GPU."""

import jax
import pytest

from experiments.benchmarks import cuda_kernels
from jaxopt_study.kernels import compiled, cuda_library

CONVOLUTIONS = {
    *(f"Activate<{tile}, {batch}, 0>" for tile in ("4, 1", "4, 4", "8, 1", "8, 2") for batch in (0, 32)),
    *(f"Activate<{tile}, {batch}, 1>" for tile in ("8, 1", "8, 2") for batch in (0, 32)),
    *(f"KernelGradient<{tile}, {batch}, 0>" for tile in ("4, 4", "2, 8") for batch in (0, 32)),
    *(f"KernelGradient<2, 8, {batch}, 1>" for batch in (0, 32)),
    *(f"InputGradient<{tile}, {batch}>" for tile in ("4, 4", "8, 2") for batch in (0, 32)),
}
# Of 2 x 2 pixels, 3 x 3 kernels, of 8 channels: for the filters and examples of a turn of the loop so many products.
PRODUCTS = {
    f"{kernel}<{count}, {numbers}>": 36 * each * count
    for count in (1, 3)
    for batch in (0, 32)
    for kernel, each, numbers in (
        ("Multiply", 4, f"{batch}, 0"),
        ("Multiply", 4, f"{batch}, 1"),
        ("MultiplyForInput", 4, f"1, {batch}"),
        ("MultiplyForInput", 4, f"2, {batch}"),
        ("MultiplyForKernel", 2, f"{batch}, 0"),
        ("MultiplyForKernel", 2, f"{batch}, 1"),
    )
}
OTHERS = {"Measure", "Moments", "Normalize", "Weigh", "Totals", "Unnormalize", "Parts"}


def needs(find):
    try:
        find()
    except FileNotFoundError as error:
        return pytest.mark.skip(reason=str(error))
    return pytest.mark.skipif(False, reason="")


@needs(cuda_kernels.disassembler)
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_120"])
def test_hardly_anything_spills_and_most_of_a_convolution_is_multiply_adds(architecture):
    """Nothing at all in those for batches of 32."""
    found = {kernel.name: kernel for kernel in cuda_kernels.kernels(architecture)}
    assert set(found) == CONVOLUTIONS | set(PRODUCTS) | OTHERS
    spilled = {name: kernel.spilled for name, kernel in found.items() if kernel.spilled}
    most = {name: 208 if "MultiplyForInput" in name else 8 for name in spilled}
    assert all(", 32" not in name and count <= most[name] for name, count in spilled.items()), spilled
    assert {name: found[name].products for name in PRODUCTS} == PRODUCTS
    shares = {name: found[name].multiply_adds / found[name].loop for name in CONVOLUTIONS if ", 32" in name}
    assert len(shares) == len(CONVOLUTIONS) / 2
    assert {name for name, share in shares.items() if share < (0.7 if "Activate" in name else 0.5)} == set()


@needs(cuda_library.compiler)
def test_the_library_has_its_handlers_and_says_where_it_cannot_run(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    recipe = cuda_library.recipe(["sm_90"])
    library = compiled.load(recipe)
    assert [hasattr(library, symbol) for symbol in recipe.symbols] == [True] * 3
    assert library.jaxopt_study_cuda_lanes() == 32
    assert compiled.cached(recipe.key) is not None
    if jax.default_backend() != "gpu":
        assert "driver" in cuda_library.fault_of(library)


def test_without_a_gpu_it_is_said_once(caplog):
    cuda_library.available.cache_clear()
    assert not cuda_library.available()
    assert not cuda_library.available()
    assert [record.getMessage() for record in caplog.records] == [
        "without kernels in CUDA, since there is no GPU, but a CPU: as with --kernels=fast"
    ]


@pytest.mark.parametrize(
    ("words", "said"), [("", "NVCC is empty"), ("no-such-nvcc", "NVCC names 'no-such-nvcc', which cannot be run")]
)
def test_what_the_environment_names_is_taken(words, said, monkeypatch):
    monkeypatch.setenv("NVCC", words)
    with pytest.raises(FileNotFoundError, match=said):
        cuda_library.compiler()
    monkeypatch.setenv("NVCC", "true --quickly")
    assert cuda_library.compiler() == ["true", "--quickly"]


ASSEMBLY = """
.L_x_1:
        /*0000*/                   LDG.E.CONSTANT R1, desc[UR4][R2.64] ;
        /*0010*/                   FFMA R3, R1, R1, R3 ;
.L_x_2:
        /*0020*/                   FFMA R3, R1, R1, R3 ;
        /*0030*/                   FFMA.FTZ R4, R1, R1, R4 ;
        /*0040*/              @!P0 BRA `(.L_x_2) ;
        /*0050*/               @P1 BRA `(.L_x_3) ;
        /*0060*/              @UP1 BRA `(.L_x_1) ;
.L_x_3:
        /*0070*/                   EXIT ;
"""


def test_the_loop_with_the_most_multiply_adds_is_counted():
    assert [len(loop) for loop in cuda_kernels.loops(ASSEMBLY)] == [3, 7]
    assert cuda_kernels.busiest(cuda_kernels.loops(ASSEMBLY)) == (7, 3, 0)
    assert cuda_kernels.busiest(iter([["HMMA", "BRA"]])) == (2, 0, 1)
    assert cuda_kernels.busiest(iter([])) == (0, 0, 0)
    assert cuda_kernels.named("_ZN5study3runINS_8ActivateILi8ELi2ELi32EEEEEvT_") == "Activate<8, 2, 32>"
    assert cuda_kernels.named("_ZN5study3runINS_7MomentsEEEvT_") == "Moments"
