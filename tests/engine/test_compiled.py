"""JAX's cache of compiled programs: what is not as it was written is compiled again, without a word."""

import subprocess
import sys

import numpy as np
import pytest
from jax._src import lru_cache

from jaxopt_study.engine import compiled

PROGRAM = """
import warnings, jax
from jax._src import compilation_cache
from jaxopt_study.engine import devices
warnings.simplefilter("error")
devices.configure()
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
made = []
put = compilation_cache.put_executable_and_time
compilation_cache.put_executable_and_time = lambda *given: made.append(given[0]) or put(*given)
print(float(jax.jit(lambda x: jax.numpy.sin(x) * 3 + 1)(jax.numpy.float32(2))), *made)
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """The folder of the cache, and a process that compiles and says its result and what it put there."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "PYTHONWARNINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def run():
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        result, *made = done.stdout.split()
        return result, made

    return tmp_path / "jaxopt_study" / "programs", run


def test_a_damaged_program_is_compiled_again_and_mended(programs):
    folder, run = programs
    result, made = run()
    assert made
    assert run() == (result, [])
    for damage in (
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content[:50],
        lambda _: b"",
    ):
        for path in folder.glob("*-cache"):
            path.write_bytes(damage(path.read_bytes()))
        again, remade = run()
        assert (again, sorted(remade)) == (result, sorted(made))
        assert run() == (result, [])


def test_no_flipped_bit_is_read(tmp_path):
    rng, value = np.random.default_rng(0), bytes(range(256)) * 8
    cache = compiled.CheckedCache(lru_cache.LRUCache(str(tmp_path), max_size=-1), tmp_path)
    cache.put("whole", value)
    content = (tmp_path / "whole-cache").read_bytes()
    assert cache.get("whole") == value
    assert cache.get("another") is None
    for bit in rng.choice(8 * len(content), 2500, replace=False):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / "key-cache").write_bytes(flipped)
        assert cache.get("key") is None
        assert not (tmp_path / "key-cache").exists()


def test_a_folder_of_the_user_s_own_has_what_jax_writes(tmp_path, monkeypatch):
    from jax._src import compilation_cache

    monkeypatch.setattr(compilation_cache, "LRUCache", compilation_cache.LRUCache)
    for _ in range(2):  # the second time finds what the first has put there
        compiled.check(tmp_path / "ours")
    for name in ("ours", "theirs"):
        cache, _ = compilation_cache.get_file_cache(str(tmp_path / name))
        cache.put("key", b"content")
        assert cache.get("key") == b"content"
    assert (tmp_path / "theirs" / "key-cache").read_bytes() == b"content"
    assert (tmp_path / "ours" / "key-cache").read_bytes() != b"content"
    assert len((tmp_path / "ours" / "key-cache").read_bytes()) == len(b"content") + 32


def test_a_jax_that_makes_its_caches_elsewhere_keeps_its_own(tmp_path, monkeypatch):
    for place in (None, object()):
        monkeypatch.setattr(compiled, "_place", place)
        compiled.check(tmp_path)
