"""The article's 43 claims, and what the runs of a study say of each; the rule is in ``claims.verdict``."""

from experiments.article.claim import Claim, Judgement
from experiments.article.judge import CLAIMS, judge
from experiments.article.output import table, write_csv
from experiments.article.verdict import CONTRADICTED, SUPPORTED, UNDECIDED, Verdict

__all__ = [
    "CLAIMS",
    "CONTRADICTED",
    "SUPPORTED",
    "UNDECIDED",
    "Claim",
    "Judgement",
    "Verdict",
    "judge",
    "table",
    "write_csv",
]
