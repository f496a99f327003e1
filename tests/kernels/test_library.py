"""The library of kernels in the cache: what is not whole, not the user's or not a library is never loaded."""

import contextlib
import os
import shutil
import subprocess
import sys

import numpy as np
import psutil
import pytest

from jaxopt_study.kernels import compiled as libraries
from jaxopt_study.kernels import library

needs_kernels = pytest.mark.skipif(not library.available(), reason="there is no C++ compiler")

MAKES = 'while [ "$1" != -o ]; do shift; done; made=$2\n'
"""Of a compiler in sh: where its result belongs."""


def compiler(folder, words):
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{MAKES}{words}\n")
    path.chmod(0o700)
    return str(path)


def process(code, **environment):
    """What a process with these kernels prints, and what it says on stderr, line by line."""
    words = [sys.executable, "-c", f"from jaxopt_study.kernels import compiled, library\n{code}"]
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.split(), done.stderr.splitlines()


@pytest.fixture
def compiled(tmp_path):
    """A compiler that copies the library of these tests and notes that it was asked; and where its cache is."""
    (kept,) = libraries.folder().glob(f"{library._recipe().key}-*.so")
    shutil.copy(kept, tmp_path / "whole.so")
    copies = compiler(tmp_path, f'echo asked >> {tmp_path}/asked; cp {tmp_path}/whole.so "$made"')
    return {"CXX": copies, "XDG_CACHE_HOME": str(tmp_path)}, tmp_path / "jaxopt_study" / "native"


DAMAGED = """
import os, tempfile
from pathlib import Path

def a_bit(path):
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])

def a_link(path):
    path.symlink_to(path.rename(path.with_suffix(".moved")))

def anothers(path):
    os.chown(path, 12345, -1) if os.getuid() == 0 else path.chmod(0o620)

damages = {
    "cut": lambda path: os.truncate(path, 20_000),
    "empty": lambda path: os.truncate(path, 0),
    "a bit": a_bit,
    "others may write": lambda path: path.chmod(0o666),
    "another's": anothers,
    "a link": a_link,
    "others may write the folder": lambda path: path.parent.chmod(0o777),
}
recipe = library._recipe()
with tempfile.TemporaryDirectory() as scratch:
    compiled.built(recipe, Path(scratch))
    for name, damage in damages.items():
        assert compiled.cached(recipe.key) is not None, name
        (kept,) = compiled.folder().glob("*.so")
        whole = kept.read_bytes()
        kept.unlink()  # what this process has loaded stays as it is
        kept.write_bytes(whole)
        kept.chmod(0o700)
        damage(kept)
        assert compiled.cached(recipe.key) is None, name
        compiled.built(recipe, Path(scratch))
(kept,) = compiled.folder().glob("*.so")
assert kept.parent.stat().st_mode & 0o777 == 0o700
print(library.lanes())
"""


@needs_kernels
def test_no_library_with_a_flipped_bit_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(libraries, "folder", lambda: tmp_path / "cache" / "native")
    monkeypatch.setattr(libraries.ctypes, "CDLL", lambda path: pytest.fail(f"{path} was loaded"))
    libraries._make_folder()
    (tmp_path / "cache").chmod(0o700)
    rng, content = np.random.default_rng(0), bytes(range(256)) * 8
    path = libraries.folder() / libraries._named("key", content)
    for bit in rng.choice(8 * len(content), 2500, replace=False):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        path.chmod(0o700)
        assert libraries.cached("key") is None
        assert not path.exists()
    path.write_bytes(content)
    path.chmod(0o700)
    with pytest.raises(pytest.fail.Exception, match="was loaded"):
        libraries.cached("key")


@needs_kernels
def test_a_damaged_or_foreign_library_is_built_again(compiled):
    assert process(DAMAGED, **compiled[0]) == ([str(library.lanes())], [])
    assert (compiled[1].parents[1] / "asked").read_text().split() == ["asked"] * 8


@needs_kernels
@pytest.mark.parametrize("words", ['echo rubbish > "$made"', 'head -c 20000 {whole} > "$made"', ": > $made"])
def test_what_a_compiler_makes_is_kept_if_it_can_be_loaded(compiled, tmp_path, words):
    environment, folder = compiled
    made = compiler(tmp_path, words.format(whole=tmp_path / "whole.so"))
    printed, said = process("print(library.lanes())", **{**environment, "CXX": made})
    assert printed == ["0"]
    assert len(said) == 1
    assert "cannot be loaded" in said[0]
    assert not list(folder.glob("*"))


def test_a_compiler_that_hangs_is_waited_for_once_and_ended_with_all_that_it_started(tmp_path):
    hangs = {
        "CXX": compiler(tmp_path, f"sleep 1000 & echo $! >> {tmp_path}/pid; wait"),
        "XDG_CACHE_HOME": str(tmp_path),
    }
    for _ in range(2):
        printed, said = process("library._TIMEOUT_S = 1; print(library.lanes())", **hangs)
        assert printed == ["0"]
        assert len(said) == 1
        assert "did not end within 1 s" in said[0]
    (pid,) = (tmp_path / "pid").read_text().split()  # the second process did not ask
    with contextlib.suppress(psutil.NoSuchProcess):  # or it is dead, and its parent has not asked yet
        assert psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


@needs_kernels
def test_a_full_disk_leaves_nothing_behind(compiled):
    """The limit on the size of a file stands for it: writing fails in the middle."""
    environment, folder = compiled
    small = f"""
import resource, signal, subprocess
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = compiled._run
def limited(command, timeout_s):
    done = run(command, timeout_s)
    if {str(sys.executable)!r} in command[0]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    return done
compiled._run = limited
print(library.lanes())
"""
    assert process(small, **environment) == ([str(library.lanes())], [])
    assert not list(folder.glob("*"))


@needs_kernels
def test_switches_for_64_bits_leave_the_kernels_float32():
    code = """
import jax, jax.numpy as jnp
from jaxopt_study.kernels import calls, chain
x, one = jnp.ones((1, 6, 6, 16)), jnp.ones(3)
of = calls.Parameters(jnp.ones((3, 3, 1, 3)), one, one, one, jnp.zeros(0))
form = calls.Form(1e-3, 0, 0.5, False, False)
words = jnp.zeros(2, jnp.uint32)
gradients = jax.grad(lambda x, of: calls.block(form, x, of, words)[0].sum(), (0, 1))(x, of)
evaluated = chain.evaluate((form,), x, [of], [(one, one)])
print({str(g.dtype) for g in jax.tree.leaves(gradients)} == {"float64"}, evaluated.dtype)
"""
    assert process(code, JAX_ENABLE_X64="1") == (["True", "float32"], [])
