"""`sagaworks check`: whether a diagram can be right as a saga, before it is deployed."""

from sagaworks.check.check import check
from sagaworks.check.rule import RULES, Rule

__all__ = ["RULES", "Rule", "check"]
