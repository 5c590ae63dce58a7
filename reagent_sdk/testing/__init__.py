"""Scripted agents and judges, and a real local OpenAI-compatible server with scripted replies and faults."""

from __future__ import annotations

from reagent_sdk.testing.scripted import ScriptedAgent, ScriptedJudge
from reagent_sdk.testing.server import ChatServer, Fault, Reply, refused_url

__all__ = ["ChatServer", "Fault", "Reply", "ScriptedAgent", "ScriptedJudge", "refused_url"]
