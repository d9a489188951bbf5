"""A report: one HTML page of many sagas, each on its diagram, that needs nothing else."""

from sagaworks.report.gathering import Gathering
from sagaworks.report.page import page

__all__ = ["Gathering", "page"]
