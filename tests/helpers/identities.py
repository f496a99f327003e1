# ruff: noqa: E501 - a source a line
"""Code whose identity is asked for: each a module that makes ``thing``, with a number § in it that matters."""

import sys
import types

HELPERS = """
import functools
RATE = §
def f(x): return x * §
class Sub:
    g = staticmethod(lambda x: x + §)
"""

CHANGES = {
    "closure of an installed function": "thing = optax.cosine_decay_schedule(§, 100)",
    "closures within": "thing = optax.chain(optax.clip(§), optax.sgd(optax.linear_schedule(1.0, 0.1, 5)))",
    "partial argument": "thing = functools.partial(nn.Dense, kernel_init=nn.initializers.normal(§))",
    "partial of a partial": "thing = functools.partial(functools.partial(pow, §), mod=3)",
    "module attribute": "thing = nn.Dense(3, kernel_init=nn.initializers.variance_scaling(§, 'fan_in', 'normal'))",
    "submodule": "thing = nn.Sequential([nn.relu, nn.Dense(§)])",
    "closure": "def outer(k):\n def inner(x): return x * k\n return inner\nthing = outer(§)",
    "lambda": "thing = lambda x: x * §",
    "default": "def thing(x, k=§): return x * k",
    "keyword default": "def thing(x, *, k=§): return x * k",
    "attribute of a function": "def thing(x): return x * thing.k\nthing.k = §",
    "global number": "K = §\ndef thing(x): return x * K",
    "global of a lambda within": "K = §\ndef thing(x): return [K * y for y in x], (lambda y: y * K)",
    "global by way of another": "K = §\ndef f(x): return x * K\ndef thing(x): return f(x)",
    "global initializer": "INIT = nn.initializers.normal(§)\nclass Net(nn.Module):\n"
    " @nn.compact\n def __call__(self, x): return nn.Dense(3, kernel_init=INIT)(x)\nthing = Net()",
    "global of globals()": "K = §\ndef thing(x): return globals()['K']",
    "global read in a class body": "K = §\ndef thing():\n class Inner:\n  k = K\n return Inner",
    "lru_cache": "@functools.lru_cache\ndef helper(x): return x * §\ndef thing(x): return helper(x)",
    "jit": "@jax.jit\ndef thing(x): return x * §",
    "custom_jvp": "f = jax.custom_jvp(jnp.tanh)\nf.defjvp(lambda p, t: (f(*p), t[0] * §))\nthing = f",
    "vmap": "thing = jax.vmap(lambda x: x * 2, in_axes=§)",
    "decorator's number": "def scaled(k):\n def by(f):\n  @functools.wraps(f)\n  def g(x): return k * f(x)\n  return g\n"
    " return by\n@scaled(§)\ndef thing(x): return x",
    "wrapper that claims to be Optax's": "@functools.wraps(optax.sgd)\ndef thing(learning_rate): return optax.sgd(§)",
    "slots": "class S:\n __slots__ = ('a',)\nthing = S()\nthing.a = §",
    "attribute": "class S: pass\nthing = S()\nthing.a = [{'b': §}]",
    "attribute of a dict": "class D(dict): pass\nthing = D(a=1)\nthing.a = §",
    "class attribute": "class C: k = §\ndef thing(x): return x * C.k",
    "class attribute set afterwards": "class C: pass\nC.k = §\ndef thing(x): return x * C.k",
    "base class": "class B:\n def f(self): return §\nclass C(B): pass\nthing = C",
    "metaclass": "class M(type):\n k = §\nclass C(metaclass=M): pass\nthing = C",
    "property": "class C:\n @property\n def f(self): return §\nthing = C()",
    "classmethod": "class C:\n @classmethod\n def f(cls): return §\nthing = C()",
    "cached property": "class C:\n @functools.cached_property\n def f(self): return §\nthing = C()",
    "dataclass": "@dataclasses.dataclass\nclass C:\n k: int = §\ndef thing(): return C()",
    "default factory": "@dataclasses.dataclass\nclass C:\n k: list = dataclasses.field(default_factory=lambda: [§])\n"
    "def thing(): return C()",
    "named tuple": "class C(typing.NamedTuple):\n k: int = §\ndef thing(): return C()",
    "enum": "class C(enum.Enum):\n A = §\ndef thing(x): return x * C.A.value",
    "bound method": "class C:\n def __init__(self, k): self.k = k\n def f(self, x): return x * self.k\nthing = C(§).f",
    "import in a method": "class C:\n def f(self, x):\n  from own_helpers import f\n  return f(x)\nthing = C()",
    "import of a class in a function": "def thing(x):\n from own_helpers import Sub\n return Sub.g(x)",
    "import of a module in a function": "def thing(x):\n import own_helpers as h\n return h.f(x)",
    "module": "import own_helpers\ndef thing(x): return own_helpers.f(x)",
    "module in a closure": "def outer():\n import own_helpers as h\n return lambda x: h.Sub.g(x)\nthing = outer()",
    "getattr": "import own_helpers\ndef thing(x): return getattr(own_helpers, 'f')(x)",
    "getattr by a variable": "import own_helpers\ndef thing(x, name='f'): return getattr(own_helpers, name)(x)",
    "module as an attribute": "import own_helpers\nclass C: ops = own_helpers\nthing = C()",
    "generator": "R = np.random.default_rng(§)\ndef thing(x): return R.normal()",
    "array": "A = np.arange(5)\nA[3] = §\ndef thing(x): return x * A",
    "array on a device": "A = jnp.zeros(3).at[1].set(§)\ndef thing(x): return x * A",
    "array of objects": "thing = np.array([{'a': §}, None, 'x'], object)",
    "masked array": "thing = np.ma.array([1, 2, 3], mask=[§ == 1, False, False])",
    "type of an array": "thing = np.zeros(3, {1: 'float32', 2: 'int32'}[§])",
    "random key": "K = jax.random.key(§)\ndef thing(x): return K",
    "set": "thing = {'a', 'b', §}",
    "which of two is shared": "a, b = [1], [1]\nthing = [a, b, {1: a, 2: b}[§]]",
    "order of numbers": "W = dict([('wide', 64), ('narrow', 8)][:: {1: 1, 2: -1}[§]])\n"
    "def thing(x):\n for name, width in W.items(): x = nn.Dense(width, name=name)(x)\n return x",
    "order of layers": "thing = dict([('a', nn.relu), ('b', nn.tanh)][:: {1: 1, 2: -1}[§]])",
    "number or truth": "thing = {1: 1, 2: True}[§]",
    "nnx": "class Net(nnx.Module):\n def __init__(self, rngs): self.a = nnx.Linear(§, 2, rngs=rngs)\nthing = Net",
    "nnx made in a function": "class Net(nnx.Module):\n def __init__(self, k, rngs): self.a = nnx.Linear(k, 2, rngs=rngs)\n"
    "thing = lambda rngs: Net(§, rngs)",
    "transformed module": "class Net(nn.Module):\n k: int = 1\n @nn.compact\n def __call__(self, x): return x * §\n"
    "thing = nn.remat(Net)()",
    "mask": "thing = optax.masked(optax.sgd(0.1), {'a': § == 1})",
    "mesh": "thing = jax.make_mesh((1,), ('ab'[§ - 1],))",
    "itemgetter": "thing = operator.itemgetter(§)",
}

SAME = {
    "constants in a set": "thing = lambda k: k in {'relu', 'gelu', 'tanh', 'swish', 'elu'}",
    "sets": "thing = {'a', 'b', ('c', 'd'), frozenset({'e', 'f', 'g'})}",
    "set of functions": "def a(): pass\ndef b(): pass\nthing = {a, b, nn.relu}",
    "dict made of a sorted set": "thing = {key: 1.5 for key in sorted({'relu', 'gelu', 'tanh', 'swish'})}",
    "logger": "log = logging.getLogger('own')\nlogging.basicConfig()\ndef thing(x): log.info(x)",
    "lock": "lock, again = threading.Lock(), threading.RLock()\ndef thing(x):\n with lock, again: return x",
    "file": "import os\nfile = open(os.devnull)\ndef thing(x): return file, sys.stdout",
    "weak containers": "cache = weakref.WeakKeyDictionary()\nkept = weakref.WeakValueDictionary()\ndef thing(): return cache, kept",
    "weak reference": "class A: pass\na = A()\nr = weakref.ref(a)\ndef thing(): return r()",
    "regular expression, path, enum": "P, Q = re.compile('a+', re.I), pathlib.Path('a')\n"
    "class E(enum.Flag):\n A = 1\n B = 2\ndef thing(): return P, Q, E.A | E.B, re.I",
    "arguments": "parser = argparse.ArgumentParser('own')\nparser.add_argument('--a')\ndef thing(): return parser.parse_args([])",
    "sentinel": "NONE = object()\ndef thing(x=NONE): return x",
    "ctx": "thing = [threading.local(), threading.Condition(), io.StringIO('a'), collections.deque([1], 3)]",
    "devices": "thing = [jax.devices()[0], jax.make_mesh((1,), ('a',))]",
    "circle": "class A: pass\nthing = A()\nthing.peers = {thing, 'x'}\nthing.me = [thing]",
    "numpy itself": "class A: pass\nthing = A()\nthing.np, thing.jnp = np, jnp",
    "types": "thing = [int, list[int], typing.Optional[int], np.float32, jnp.float32, np.dtype('f4'), slice(1, 2), range(3)]",
}

IMPORTS = """
import argparse, collections, dataclasses, enum, functools, io, logging, operator, pathlib, re, sys, threading, typing, weakref
import jax, jax.numpy as jnp, numpy as np, optax
from flax import linen as nn, nnx
"""


def made(source: str, number: int = 1) -> object:
    """The ``thing`` of a source, with its number."""
    for name, text in (("own_helpers", HELPERS), ("own_code", IMPORTS + source)):
        module = types.ModuleType(name)
        sys.modules[name] = module
        exec(text.replace("§", str(number)), vars(module))
    return vars(sys.modules["own_code"])["thing"]


def all_of_them() -> dict[str, str]:
    """The identity of each."""
    from jaxopt_study.identity import identity

    return {name: identity(made(source)) for name, source in (CHANGES | SAME).items()}


if __name__ == "__main__":
    print(*all_of_them().items(), sep="\n")
