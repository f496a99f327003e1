"""The report of a study: one self-contained HTML page."""

from jaxopt_study.report.facts import Origin, Reference
from jaxopt_study.report.page import Illustration, illustrations, render, write

__all__ = ["Illustration", "Origin", "Reference", "illustrations", "render", "write"]
