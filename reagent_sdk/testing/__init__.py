"""Scripted agents and judges, and a real local server, for tests."""

from __future__ import annotations

from reagent_sdk.testing.scripted import ScriptedAgent, ScriptedJudge

__all__ = ["ScriptedAgent", "ScriptedJudge"]
