"""What the tests of the report put into it."""

import math

from plot_runs import run

from experiments.article import tables as article
from experiments.article.claim import judge
from experiments.article.find import ArticleRuns
from experiments.command import experiment as catalogue
from jaxopt_study.report import tables
from jaxopt_study.report.data import study_data
from jaxopt_study.report.facts import Origin

HOSTILE = '"><script>document.title="broken"</script><img src=x onerror="document.title=\'broken\'">&{{ 7*7 }}'
ORIGIN = Origin(
    "workdir/a",
    {
        "settings": {"batch_size": 32},
        "dataset": {"name": "digits", "train_examples": 1438, "val_examples": 359, "image_shape": [8, 8, 1]},
        "devices": ["cpu", "cpu"],
        "versions": {"jax": "0.10.2"},
    },
    {"seconds": 125.0, "compile_seconds": 9.5, "examples_per_second": 12345.6, "goodput": 0.9, "parts": [{"runs": 1}]},
)


def content(histories=(), *, article_data=True, **changes):
    """The arguments of ``page.render`` for these histories, with changes; perhaps of other data than the article's."""
    runs = ArticleRuns(histories, article_data=article_data)
    judgements = judge(catalogue.claims(), runs)
    given = {
        "title": "A study", "origins": [ORIGIN], "best_runs": article.best_runs(runs),
        "reference": article.reference(judgements, catalogue.sections()), "runs": tables.summary(histories),
        "data": study_data(histories, math.log(2)),
    }  # fmt: skip
    return given | changes


def runs():
    """Seven runs of two rules, one diverged, of 3, 6 and 12 epochs."""
    made = [
        run("sgd", seed=s, learning_rate=r, low=0.2 + r, epochs=12 if r == 0.1 else 6)
        for r in (0.1, 0.01, 0.001)
        for s in range(2)
    ]
    return [*made, run("adam", learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-7, diverged=3)]
