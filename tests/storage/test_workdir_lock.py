"""A work directory has one process at a time, and the lock goes with the process."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxopt_study.errors import EnvironmentFault, InputError
from jaxopt_study.storage import workdir

# Holds the directory, leaves a child behind that inherited all that was open, and is killed.
KILLED_BESIDE_ITS_CHILD = """
import os, signal, sys, time
from pathlib import Path
from jaxopt_study.storage import workdir
with workdir.locked(Path(sys.argv[1])):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(60)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def refused(folder: Path) -> str:
    with pytest.raises(EnvironmentFault) as raised, workdir.locked(folder):
        pass
    return str(raised.value)


def test_the_holder_is_named_however_often_others_ask(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("process 123456789012345")
    with workdir.locked(tmp_path):
        for _ in range(2):
            assert f"another process (process {os.getpid()}) is at work there" in refused(tmp_path)
    with workdir.locked(tmp_path):
        pass


def test_another_thread_is_refused_and_a_child_does_not_let_it_go(tmp_path: Path) -> None:
    told: list[str] = []
    with workdir.locked(tmp_path):
        thread = threading.Thread(target=lambda: told.append(refused(tmp_path)))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        told.append(refused(tmp_path))
    assert len(told) == 2


def test_the_lock_goes_with_a_process_that_is_killed_though_its_child_lives(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_BESIDE_ITS_CHILD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.wait(timeout=60)
            os.kill(child, 0)  # it is still there
            with workdir.locked(tmp_path):
                assert (tmp_path / ".lock").read_text() == f"process {os.getpid()}"
        finally:
            os.kill(child, 9)


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("dear")
    (tmp_path / ".lock").symlink_to(tmp_path / "results")
    with (
        pytest.raises(InputError, match="allowed is a folder that can be written and locked"),
        workdir.locked(tmp_path),
    ):
        pass
    assert (tmp_path / "results").read_text() == "dear"


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gets_a_file_that_names_the_process(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.warns(UserWarning, match=rf"has no locks \({os.strerror(code)}\)"), workdir.locked(tmp_path):
        assert f"another process ({os.getpid()} " in refused(tmp_path)
    with pytest.warns(UserWarning, match="has no locks"), workdir.locked(tmp_path):
        pass


def test_a_file_system_without_locks_knows_a_holder_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = "import os, sys, filelock; x = filelock.SoftFileLock(sys.argv[1]); x.acquire(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed, str(tmp_path / ".holder")], check=False, timeout=60)
    assert (tmp_path / ".holder").exists()

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.warns(UserWarning, match="has no locks"), workdir.locked(tmp_path):
        pass


def test_a_python_without_native_locks_holds_it_too(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['fcntl'] = None\n"
        "from pathlib import Path; from jaxopt_study.storage import workdir\n"
        "with workdir.locked(Path(sys.argv[1])): print('held')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stdout == "held\n", done.stderr
    assert "Python has no locks here" in done.stderr
