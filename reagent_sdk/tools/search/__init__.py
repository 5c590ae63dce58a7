"""Searching the web or a corpus through several providers."""
