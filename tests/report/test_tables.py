"""Tables as CSV and LaTeX: what is in them, and that nothing in them breaks the format."""

import csv
import dataclasses
import io
import math

import numpy as np
import pytest
from made_runs import history, world
from report_content import content

from experiments.article import facts as article
from experiments.article import tables as article_tables
from experiments.article.claim import judge
from experiments.article.find import ArticleRuns
from experiments.command import experiment as catalogue
from jaxopt_study.report import page, tables
from jaxopt_study.report.tables import Table

NAN = math.nan


def rows(table):
    return list(csv.DictReader(io.StringIO(tables.to_csv(table))))


def test_the_best_is_chosen_by_the_validation_loss_and_not_by_the_training_loss():
    runs = [
        history("sgd", val=[0.5, 0.3], train=[0.6, 0.5], learning_rate=0.01),
        history("sgd", val=[0.5, 0.4], train=[0.6, 0.1], learning_rate=0.1),
    ]
    (ours,) = rows(tables.best_configurations(runs))
    (beside,) = (row for row in rows(article_tables.best_runs(ArticleRuns(runs))) if row["optimizer"] == "SGD")
    for row in (ours, beside):
        assert row["hyperparameters"] == "learning_rate 0.01"
        np.testing.assert_allclose((float(row["val_loss"]), float(row["train_loss"])), (0.3, 0.5), rtol=1e-6)


def test_summary_has_a_row_a_run_with_the_agreed_columns():
    runs = [
        history("momentum", 0, val=[0.5, 0.25, 0.25], train=[0.625, 0.5, 0.375], learning_rate=0.1, momentum=0.0),
        history("adam", 1, status="diverged", val=[NAN], diverged_epoch=1, learning_rate=0.1, b1=0.5),
    ]
    table = tables.summary(runs)
    measured = (
        "min_val_loss", "min_val_epoch", "val_accuracy_at_min_val", "max_val_accuracy", "train_loss_at_min_val",
        "min_train_loss", "min_train_epoch",
    )  # fmt: skip
    numbers = ("learning_rate", "momentum", "b1", "seed")
    assert table.columns == ("optimizer", *numbers, *measured, "epochs", "status", "diverged_epoch")
    assert tables.to_csv(table).splitlines()[1:] == [
        "momentum,0.1,0.0,,0,0.25,2,1.0,1.0,0.5,0.375,3,3,stopped,",
        "adam,0.1,,0.5,1,,,,,,,,1,diverged,1",
    ]


def test_summary_of_no_runs_is_its_header():
    assert tables.to_csv(tables.summary([])).startswith("optimizer,seed,min_val_loss")


def test_best_runs_stand_beside_the_articles_with_intervals():
    found = rows(article_tables.best_runs(ArticleRuns(world(), article_data=True)))
    assert [row["optimizer"] for row in found] == [best.title for best in article.BEST_RUNS]
    for row, best in zip(found, article.BEST_RUNS, strict=True):
        assert float(row["article_val_loss"]) == best.val_loss
        assert float(row["val_low"]) <= float(row["val_loss"]) <= float(row["val_high"])
        assert float(row["val_loss"]) == pytest.approx(best.val_loss, rel=0.03)
        assert row["seeds"] == "5"
    assert found[0]["hyperparameters"] == "learning_rate 0.0316"
    assert found[1]["hyperparameters"] == "learning_rate 0.01, momentum 0.5"


def test_best_runs_say_what_is_missing_one_seed_and_what_diverged():
    burst = history("adam", val=[0.4, NAN], status="diverged", diverged_epoch=2, learning_rate=0.1)
    found = {row["optimizer"]: row for row in rows(article_tables.best_runs(ArticleRuns([burst])))}
    assert found["SGD"]["note"] == "not run"
    assert found["SGD"]["val_loss"] == ""
    assert found["Adam"]["note"] == "1 of 1 seeds diverged"
    assert found["Adam"]["val_loss"] == found["Adam"]["val_low"] == ""


def test_best_runs_do_not_credit_momentum_with_plain_sgd():
    found = rows(article_tables.best_runs(ArticleRuns([history("momentum", learning_rate=0.1, momentum=0.0)])))
    assert [row["note"] for row in found[:2]] == ["one seed: no interval", "not run"]


def test_csv_quotes_text_and_keeps_all_digits():
    text = tables.to_csv(Table(("a", "b"), [('x, "y"', 0.1 + 0.2), (None, NAN)]))
    assert text == 'a,b\n"x, ""y""",0.30000000000000004\n,\n'


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_csv_has_no_formulas_in_cells_or_headings(text):
    columns, row = csv.reader(io.StringIO(tables.to_csv(Table((text, "b"), [(text, 1)])), newline=""))
    defused = "'" + text.replace("\r", "\n")
    assert (columns, row) == ([defused, "b"], [defused, "1"])


@pytest.mark.parametrize("value", [-1.5, -math.inf, "-1.5", "+2e3", "a=b", "momentum-ema"])
def test_csv_leaves_numbers_and_other_texts_alone(value):
    assert tables.to_csv(Table(("a",), [(value,)])) == f"a\n{value}\n"


def test_accuracy_is_that_of_the_epoch_of_the_lowest_validation_loss():
    curves = {"val_loss": [0.5, 0.25, 0.375], "val_accuracy": [0.5, 0.75, 0.875]}
    runs = [accurate(seed, **curves) for seed in (0, 1)]
    (row, _) = rows(tables.summary(runs))
    assert (row["val_accuracy_at_min_val"], row["max_val_accuracy"]) == ("0.75", "0.875")
    (best,) = tables.best_configurations([runs[0], accurate(1, **curves | {"val_accuracy": [0.5, 0.25, 0]})]).records()
    assert best["val_accuracy"] == 0.5


@pytest.mark.parametrize("measured", [NAN, 0.0])
def test_a_regression_has_no_accuracy_nor_has_an_older_store_of_one(measured):
    runs = [accurate(0, val_loss=[0.5, 0.25], val_accuracy=[measured] * 2)]
    (row,) = rows(tables.summary(runs))
    assert row["val_accuracy_at_min_val"] == row["max_val_accuracy"] == ""
    assert math.isnan(tables.best_configurations(runs).records()[0]["val_accuracy"])


def accurate(seed, **curves):
    run = history(val=curves["val_loss"], seed=seed, learning_rate=0.1)
    return dataclasses.replace(run, curves={**run.curves, **{name: np.array(c) for name, c in curves.items()}})


def test_latex_uses_booktabs_aligns_numbers_right_and_escapes_text():
    text = tables.to_latex(
        Table(("name", "val_loss"), [("50% of_a & b^2 \\", 0.123456), ("x < y ~ {z}", NAN)]),
        caption="Best & worst",
        label="tab:best",
    )
    assert text.splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\caption{Best \& worst}",
        r"\label{tab:best}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"name & val loss \\",
        r"\midrule",
        r"50\% of\_a \& b\textasciicircum{}2 \textbackslash{} & 0.1235 \\",
        r"x \textless{} y \textasciitilde{} \{z\} & -- \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_claims_make_a_latex_table_of_43_rows():
    table = article_tables.claims(judge(catalogue.claims(), []))
    assert tables.to_latex(table, caption="Claims", label="tab:claims").count(r"\\") == 44


def test_the_articles_rates_are_the_same_floats_in_every_grid():
    assert article.SGD_RATES == (0.001, 10**-2.5, 0.01, 10**-1.5, 0.1)
    assert set(article.SGD_RATES) < set(article.half_decades(-4, 0))
    assert [len(article.half_decades(*ends)) for ends in ((-3, -1), (-4, 0), (-3, 0))] == [5, 9, 7]
    assert pytest.approx(0.316, rel=1e-2) == article.LARGE_ADAGRAD_RATE


def test_the_page_tells_how_much_each_hyperparameter_matters_in_its_own_names():
    lows = {(0.1, 0.5): 0.2, (0.1, 0.9): 0.3, (0.2, 0.5): 0.4, (0.2, 0.9): 0.6}
    runs = [history("adam", val=[low], learning_rate=rate, b1=b1) for (rate, b1), low in lows.items()]
    table = tables.importance(runs, math.log(2))
    assert [row["source"] for row in table.records()] == ["learning_rate", "b1", "learning_rate with b1"]
    assert table.column("share") == pytest.approx([25 / 35, 9 / 35, 1 / 35], rel=1e-5)
    html = page.render(**content(runs, importance=table))
    section = html.partition('id="importance"')[2].partition("</section>")[0]
    assert "<td>Adam</td><td>learning rate with beta 1</td><td>2.9%</td>" in section
    assert 'id="importance"' not in page.render(**content(runs, importance=tables.importance(runs[:1], math.log(2))))
