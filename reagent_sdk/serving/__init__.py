"""Hosting a judge: a small front with keys, limits, metrics and a graceful end, before an engine that does the work.

The front forwards to one of three engines: the embedded one, the official vLLM (both child processes that are started
again when they die), or a server that runs already. Everything here needs the `serve` extra; `reagent judge serve` is
the way in.
"""
