"""What does the compiler make of the kernels in CUDA? Registers, spills and their loops' arithmetic, without a GPU.

    pip install '.[nvcc]'
    python -m experiments.benchmarks.cuda_kernels                       # for sm_80, sm_90 and sm_120, two minutes
    python -m experiments.benchmarks.cuda_kernels --architectures=sm_90

For each kernel and architecture: registers a thread, bytes spilled, and of the loop that does most of its arithmetic
how many instructions it has, which share of them are fused multiply-adds, and how many are products of tensor cores.
Names with numbers are convolutions; 32 or 0 is the batch that they are made for, 0 for any, and a number after it says
whether they normalize what they read. Expected, with a batch of 32: nothing is spilled, and over half of a
convolution's loop is multiply-adds, forward nine tenths, where it is on no tensor cores.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from absl import flags
from rich.console import Console

from experiments.benchmarks import common
from experiments.command import flags as command
from jaxopt_study.kernels import cuda_library

ARCHITECTURES = flags.DEFINE_list("architectures", ["sm_80", "sm_90", "sm_120"], "Of GPUs: A100, H100, RTX 50.")


class Kernel(NamedTuple):
    """One kernel of one architecture.

    Attributes:
        name: of the kernel, with its template's numbers.
        registers: a thread.
        spilled: bytes a thread, stored and loaded.
        loop: instructions of the loop with the most multiply-adds and products.
        multiply_adds: of these, those that are one.
        products: of these, those of tensor cores.
    """

    name: str
    registers: int
    spilled: int
    loop: int
    multiply_adds: int
    products: int


def kernels(architecture: str) -> list[Kernel]:
    """Compiles all kernels for an architecture.

    Raises:
        FileNotFoundError: there is no nvcc, or no nvdisasm.
        subprocess.CalledProcessError: the compiler fails; ``stderr`` says why.
    """
    nvcc = cuda_library.compiler()
    with tempfile.TemporaryDirectory() as folder:
        made = str(Path(folder) / "kernels.cubin")
        words = [*cuda_library.command(nvcc, [architecture]), "-Xptxas=-v", "-cubin", "-o", made]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stderr
        assembly = subprocess.run([disassembler(), "-c", made], check=True, capture_output=True, text=True).stdout
    return sorted(
        Kernel(named(symbol), registers, spilled, *busiest(loops(text)))
        for (symbol, registers, spilled), text in zip(resources(said), functions(assembly, said), strict=True)
    )


def disassembler() -> str:
    """The path of nvdisasm: beside nvcc, else in the path. FileNotFoundError: there is none, or no nvcc."""
    path = shutil.which("nvdisasm", path=f"{Path(cuda_library.compiler()[0]).parent}:{os.environ.get('PATH', '')}")
    if path is None:
        raise FileNotFoundError("no nvdisasm; pip install '.[nvcc]' brings it")
    return path


def resources(said: str) -> Iterator[tuple[str, int, int]]:
    """Symbol, registers and spilled bytes of each kernel, from what ``-Xptxas=-v`` says."""
    for part in said.split("Compiling entry function '")[1:]:
        symbol = part.split("'")[0]
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        found = re.search(r"Used (\d+) registers", part)
        if found is None:
            raise ValueError(f"nvcc does not say how many registers {symbol} uses")
        yield symbol, int(found[1]), spilled


def functions(assembly: str, said: str) -> Iterator[str]:
    """The assembly of each kernel, in the order in which nvcc tells of them."""
    parts = dict(re.findall(r"\.section\s+\.text\.(\w+),[^\n]*\n(.*?)(?=\n\s*\.section|\Z)", assembly, re.DOTALL))
    for symbol, _, _ in resources(said):
        yield parts[symbol]


def loops(assembly: str) -> Iterator[list[str]]:
    """The instructions of each loop, by name: from a label to a branch back to it."""
    labels: dict[str, int] = {}
    instructions: list[str] = []
    for line in assembly.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(instructions)
        elif instruction := re.match(r"\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)([^;]*);", line):
            instructions.append(instruction[1])
            target = re.search(r"\.L_x_\d+", instruction[2]) if instruction[1] == "BRA" else None
            if target and target[0] in labels:
                yield instructions[labels[target[0]] :]


def busiest(found: Iterator[list[str]]) -> tuple[int, int, int]:
    """Instructions of the shortest loop with the most arithmetic, its multiply-adds and products; 0 for none."""
    counts = []
    for loop in found:
        adds, products = (sum(name.startswith(kind) for name in loop) for kind in ("FFMA", "HMMA"))
        counts.append((adds + products, -len(loop), adds, products))
    _, length, adds, products = max(counts, default=(0, 0, 0, 0))
    return -length, adds, products


def named(symbol: str) -> str:
    """A kernel's name from its symbol: of ``run<Activate<8, 2, 32>>`` Activate<8, 2, 32>."""
    found = re.match(r"_ZN5study3runINS_\d+([A-Za-z]+?)(?:I((?:Li\d+E)+)E)?EEEvT_", symbol)
    if found is None:
        return symbol
    numbers = ", ".join(re.findall(r"Li(\d+)E", found[2] or ""))
    return f"{found[1]}<{numbers}>" if numbers else found[1]


def run() -> None:
    """From the flags to the table."""
    rows = []
    for architecture in ARCHITECTURES.value:
        for kernel in kernels(architecture):
            share = f"{kernel.multiply_adds / kernel.loop:.0%}" if kernel.multiply_adds else ""
            counted = kernel.loop or "", kernel.multiply_adds or "", share, kernel.products or ""
            cells = (kernel.registers, kernel.spilled, *counted)
            rows.append((kernel.name, architecture, *map(str, cells)))
    columns = ("kernel", "GPU", "registers", "spilled, bytes", "loop", "multiply-adds", "share", "products")
    Console(width=130).print(common.table("kernels in CUDA", columns, rows, left=("kernel", "GPU")))


if __name__ == "__main__":
    command.start(run)
