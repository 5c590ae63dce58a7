"""Scripted agents and judges, and a real local server, for tests."""
