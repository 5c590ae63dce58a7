"""Reagent SDK: a critique layer for any agent.

    from reagent_sdk import with_critique

    agent = with_critique(my_agent)      # same calling convention, better answers
    run = agent.run("...")               # attempts, verdicts, which was chosen and why, usage

Names are imported on first use: `import reagent_sdk` alone loads no model client and no engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from reagent_sdk.agents import Feedback, ModelAgent
    from reagent_sdk.budget import Budget
    from reagent_sdk.critique_agent import AsyncCritiqueAgent, CritiqueAgent
    from reagent_sdk.errors import BudgetExceeded, InvalidInput, JudgeFailed, LowScore, ModelError, ReagentError
    from reagent_sdk.judges.base import Judge
    from reagent_sdk.judges.calibrated import CalibratedJudge
    from reagent_sdk.judges.ensemble import EnsembleJudge
    from reagent_sdk.judges.fallback import FallbackJudge
    from reagent_sdk.judges.model import JudgeSettings, ModelJudge
    from reagent_sdk.loop import CritiqueLoop
    from reagent_sdk.messages import Message, ToolCall
    from reagent_sdk.policy import Policy
    from reagent_sdk.record import RunLog
    from reagent_sdk.run import Attempt, Run, RunStatus, StopReason
    from reagent_sdk.task import Task
    from reagent_sdk.trajectory import Trajectory
    from reagent_sdk.usage import Usage
    from reagent_sdk.verdict import Verdict, VerdictStatus
    from reagent_sdk.wrap import with_critique

_HOME = {
    "Feedback": "agents",
    "ModelAgent": "agents",
    "Budget": "budget",
    "AsyncCritiqueAgent": "critique_agent",
    "CritiqueAgent": "critique_agent",
    "BudgetExceeded": "errors",
    "InvalidInput": "errors",
    "JudgeFailed": "errors",
    "LowScore": "errors",
    "ModelError": "errors",
    "ReagentError": "errors",
    "Judge": "judges.base",
    "CalibratedJudge": "judges.calibrated",
    "EnsembleJudge": "judges.ensemble",
    "FallbackJudge": "judges.fallback",
    "JudgeSettings": "judges.model",
    "ModelJudge": "judges.model",
    "CritiqueLoop": "loop",
    "Message": "messages",
    "ToolCall": "messages",
    "Policy": "policy",
    "RunLog": "record",
    "Attempt": "run",
    "Run": "run",
    "RunStatus": "run",
    "StopReason": "run",
    "Task": "task",
    "Trajectory": "trajectory",
    "Usage": "usage",
    "Verdict": "verdict",
    "VerdictStatus": "verdict",
    "with_critique": "wrap",
}

__all__ = [  # noqa: RUF022 - in the order in which a reader meets them
    "with_critique",
    "CritiqueAgent",
    "AsyncCritiqueAgent",
    "Policy",
    "Budget",
    "Task",
    "Message",
    "ToolCall",
    "Trajectory",
    "Feedback",
    "ModelAgent",
    "Judge",
    "ModelJudge",
    "JudgeSettings",
    "EnsembleJudge",
    "FallbackJudge",
    "CalibratedJudge",
    "Verdict",
    "VerdictStatus",
    "Attempt",
    "Run",
    "RunStatus",
    "StopReason",
    "Usage",
    "RunLog",
    "CritiqueLoop",
    "ReagentError",
    "InvalidInput",
    "ModelError",
    "BudgetExceeded",
    "JudgeFailed",
    "LowScore",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reagent_sdk' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"reagent_sdk.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
