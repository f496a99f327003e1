"""The article's 43 claims, and what the runs of a study say of each; the rule is in ``claims.verdict``."""

from jaxopt_study.claims.claim import Claim, Judgement
from jaxopt_study.claims.judge import CLAIMS, judge
from jaxopt_study.claims.output import table, write_csv
from jaxopt_study.claims.verdict import CONTRADICTED, SUPPORTED, UNDECIDED, Verdict

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
