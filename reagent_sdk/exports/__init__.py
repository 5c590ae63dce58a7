"""The run log as other tools read it: training rows for TRL, ATIF trajectories, OpenTelemetry traces."""

from __future__ import annotations

from reagent_sdk.exports.choosing import LeftOut
from reagent_sdk.exports.formats import ExportSettings, Format, converter
from reagent_sdk.exports.writing import ExportReport, export_runs

__all__ = ["ExportReport", "ExportSettings", "Format", "LeftOut", "converter", "export_runs"]
