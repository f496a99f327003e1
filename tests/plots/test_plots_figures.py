import subprocess
import sys

import pytest
from plot_runs import momentum_grid, run

from jaxopt_study.errors import EnvironmentFault
from jaxopt_study.optimizers import registry
from jaxopt_study.plots import labels
from jaxopt_study.plots.general import general
from jaxopt_study.plots.picture import Source, curve_picture, save, save_pictures


def curves(runs):
    return curve_picture(0, Source(runs), "", shows="curves", by="momentum").figure


def test_png_and_svg_are_written_and_nothing_else(tmp_path):
    saved = save_pictures(general(momentum_grid(seeds=1)), tmp_path / "figures")
    assert saved
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == sorted(
        f"{one.name}.{kind}" for one in saved for kind in ("png", "svg")
    )
    assert all(one.png.read_bytes().startswith(b"\x89PNG") for one in saved)
    assert all(one.svg.read_text().rstrip().endswith("</svg>") for one in saved)


def test_the_same_runs_give_the_same_files(tmp_path):
    for folder in ("one", "two"):
        save(curves(momentum_grid(rates=(0.1,))), tmp_path / folder, "a")
    for kind in ("png", "svg"):
        assert (tmp_path / "one" / f"a.{kind}").read_bytes() == (tmp_path / "two" / f"a.{kind}").read_bytes()


def test_a_failed_write_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
    figure = curves([run(momentum=0.9)])
    save(figure, tmp_path, "a")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fails(path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fails)
    with pytest.raises(EnvironmentFault, match="disk is full"):
        save(figure, tmp_path, "a")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_figures_leave_matplotlibs_settings_as_they_were():
    import matplotlib

    before = dict(matplotlib.rcParams)
    list(general(momentum_grid()))
    assert dict(matplotlib.rcParams) == before


def test_importing_figures_and_report_loads_neither_jax_nor_pyplot():
    code = (
        "import sys, jaxopt_study.plots.picture, jaxopt_study.plots.general, jaxopt_study.report.outcome; "
        "print({'jax', 'matplotlib.pyplot'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_training_does_not_wait_for_matplotlib_and_scipy():
    code = "import sys, jaxopt_study.api; sys.exit(bool({'matplotlib', 'scipy.stats'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_figures_and_registry_call_each_rule_the_same():
    titles = {name: family.title.lower() for name, family in registry.OPTIMIZERS.items() if name in labels.OPTIMIZERS}
    assert {name: text.lower() for name, text in labels.OPTIMIZERS.items()} == titles
