"""What the texts tell of the published runs is what their tables hold."""

import csv
import re
from pathlib import Path

import pytest

from experiments.article import facts

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "experiments" / "results"
TITLES = {"CLR": "cyclical", "SGD": "sgd"} | {n.title(): n for n in ("momentum", "nesterov", "adam", "adagrad")}
TITLES |= {"RMSprop": "rmsprop", "momentum": "momentum"}


@pytest.fixture(scope="module")
def published():
    """By optimizer the lowest validation loss at 128 pixels and its epoch, at the article's best configuration."""
    with (RESULTS / "cats_vs_dogs_128" / "summary.csv").open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if (row["optimizer"], row["learning_rate"]) != ("sgd", "0.01")]
    return {row["optimizer"]: (float(row["min_val_loss"]), int(row["min_val_epoch"])) for row in rows}


@pytest.mark.parametrize("text", ["README.md", "experiments/results/differences.md"])
def test_how_far_each_loss_is_from_the_articles(text, published):
    words = " ".join((ROOT / text).read_text(encoding="utf-8").split())
    told = re.search(
        r"Adagrad's loss is (\d+)% below the article's(?:,| and) CLR's (\d+)%; the others' are (.+?) above", words
    )
    below = {"adagrad": int(told[1]), "cyclical": int(told[2])}
    above = {TITLES[name]: int(share) for share, name in re.findall(r"(\d+)% \((\w+)\)", told[3])}
    assert below.keys() | above.keys() == published.keys()
    for best in facts.BEST_RUNS:
        apart = 100 * (published[best.optimizer][0] / best.val_loss - 1)
        assert round(apart) == above.get(best.optimizer, -below.get(best.optimizer, 0)), best.title


def test_how_many_epochs_later_the_articles_lowest_came(published):
    later = {best.optimizer: best.epoch - published[best.optimizer][1] for best in facts.BEST_RUNS}
    words = " ".join((RESULTS / "differences.md").read_text(encoding="utf-8").split())
    assert later["adam"] < 0
    least, most = min(set(later.values()) - {later["adam"]}), max(later.values())
    assert f"of all but Adam the article's lowest came {least} to {most} epochs later" in words
    five = [later[name] for name in ("sgd", "momentum", "nesterov", "rmsprop")]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"all but Adam {min(five)} to {max(five)} epochs before the article's lowest" in readme
