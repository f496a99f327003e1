"""The report of a study: one self-contained HTML page."""

from jaxopt_study.report.facts import Origin, Reference
from jaxopt_study.report.page import render, write
from jaxopt_study.report.pictures import Illustration, illustrations

__all__ = ["Illustration", "Origin", "Reference", "illustrations", "render", "write"]
