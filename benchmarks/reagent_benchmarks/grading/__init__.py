"""Graders: whether an answer is right, for agent benchmarks to count and for RL training as its rule reward.

One file for each kind of answer; `grader(name)` makes one by its name. What counts in a reply as its answer is decided
once, in `final`. A grader that fails says so (`Grade.right` is None) and never invents a wrong or a right.
"""

from __future__ import annotations

from reagent_benchmarks.grading.base import Grade, Grader, RuleGrader
from reagent_benchmarks.grading.registry import GRADERS, grader

__all__ = ["GRADERS", "Grade", "Grader", "RuleGrader", "grader"]
