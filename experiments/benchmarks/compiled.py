"""What XLA made of an epoch: kernels a step, the bytes they read and write, and its products, from the program's text.

The text is an executable's ``as_text()``: computations of instructions ``%name = shape opcode(%operands), attributes``,
shapes with their sizes, loops with the number of their turns. Bytes are those of each kernel's operands and results, as
if nothing were left in a cache: what a GPU's memory moves at most.
"""

import math
import re
from collections import Counter
from typing import NamedTuple

WIDTHS = {"f64": 8, "s64": 8, "u64": 8, "f32": 4, "s32": 4, "u32": 4, "bf16": 2, "f16": 2, "s16": 2, "u16": 2,
          "pred": 1, "s8": 1, "u8": 1}  # fmt: skip
NO_KERNELS = {"get-tuple-element", "bitcast", "parameter", "tuple", "constant", "after-all", "partition-id",
              "replica-id"}  # fmt: skip
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%([\w.\-]+) = (.*)")
_OPERATION = re.compile(r"(\((?:[^()]|\([^()]*\))*\)|[\w\[\],{}:()*]+?)\s+([\w\-]+)\(([^)]*)\)(.*)")
_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_TARGET = re.compile(r'custom_call_target="([^"]+)"')
_PRECISION = re.compile(
    r"operand_precision={(?P<named>\w+),"  # a product of XLA's own
    r'|"operand_precision":\["(?P<called>\w+)"'  # one of cuBLAS
    r"|algorithm=(?P<own_algorithm>dot_\w+)"
    r'|"algorithm":"ALG_(?P<called_algorithm>DOT_\w+)"'
)


class Instruction(NamedTuple):
    """A line of a computation: its name, the text of its result's shape, the operation, its operands, the rest."""

    name: str
    shape: str
    operation: str
    operands: tuple[str, ...]
    rest: str


class Kernel(NamedTuple):
    """An instruction that a device is sent: what it is, its name, the bytes of its operands and results."""

    kind: str
    name: str
    bytes: int


class Step(NamedTuple):
    """The body of the loop over training steps.

    Attributes:
        kernels: in their order.
        products: precisions of the whole program's products and how many have each: ``highest``, ``high``, ``default``
            as JAX's names, or an algorithm such as ``dot_tf32_tf32_f32_x3``.
        convolutions: of the whole program.
    """

    kernels: list[Kernel]
    products: Counter[str]
    convolutions: int

    @property
    def bytes(self) -> int:
        """Of all kernels."""
        return sum(kernel.bytes for kernel in self.kernels)


def step_of(text: str, steps: int) -> Step:
    """The training step of an epoch with so many; ValueError: there is no one loop of so many turns."""
    computations = _computations(text)
    bodies = [
        _called(instruction.rest, "body")
        for computation in computations.values()
        for instruction in computation
        if instruction.operation == "while" and (turns := _TURNS.search(instruction.rest)) and int(turns[1]) == steps
    ]
    if len(bodies) != 1:
        raise ValueError(f"{len(bodies)} loops of {steps} turns; allowed is one")
    whole = [instruction for computation in computations.values() for instruction in computation]
    convolutions = sum(i.operation == "convolution" or "__cudnn$conv" in i.rest for i in whole)
    return Step(_kernels(bodies[0], computations, steps), _products(whole), convolutions)


def _computations(text: str) -> dict[str, list[Instruction]]:
    found: dict[str, list[Instruction]] = {}
    current: list[Instruction] | None = None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = found[head[1]] = []
        elif line.startswith("}"):
            current = None
        elif current is not None and (parts := _INSTRUCTION.match(line)) and (shaped := _OPERATION.match(parts[2])):
            operands = tuple(re.findall(r"%([\w.\-]+)", shaped[3]))
            current.append(Instruction(parts[1], shaped[1], shaped[2], operands, shaped[4]))
    return found


def _kernels(name: str, computations: dict[str, list[Instruction]], steps: int) -> list[Kernel]:
    """Of a computation and of those that it only calls, as a graph of kernels that is launched at once."""
    shapes = {instruction.name: instruction.shape for instruction in computations[name]}
    kernels = []
    for instruction in computations[name]:
        if instruction.operation == "call":
            kernels += _kernels(_called(instruction.rest, "to_apply"), computations, steps)
        elif instruction.operation not in NO_KERNELS:
            read = sum(_bytes(shapes.get(operand, ""), steps) for operand in instruction.operands)
            target = _TARGET.search(instruction.rest)
            kind = target[1] if target else instruction.operation
            kernels.append(Kernel(kind, instruction.name, read + _bytes(instruction.shape, steps)))
    return kernels


def _bytes(shape: str, steps: int) -> int:
    """Of the arrays of a shape; of what holds the batches of all steps one is read."""
    total = 0
    for kind, sizes in _ARRAY.findall(shape):
        axes = [int(size) for size in sizes.split(",") if size]
        if axes[:1] == [steps] and kind in ("u8", "s32"):
            axes = axes[1:]
        total += WIDTHS.get(kind, 0) * math.prod(axes)
    return total


def _called(rest: str, role: str) -> str:
    called = re.search(rf"{role}=%?([\w.\-]+)", rest)
    if called is None:
        raise ValueError(f"no {role} in {rest[:80]}")
    return called[1]


def _products(instructions: list[Instruction]) -> Counter[str]:
    found: Counter[str] = Counter()
    for instruction in instructions:
        if instruction.operation == "dot" or "__cublas" in instruction.rest:
            known = _PRECISION.search(instruction.rest)
            found[next(filter(None, known.groups())).lower() if known else "default"] += 1
    return found
