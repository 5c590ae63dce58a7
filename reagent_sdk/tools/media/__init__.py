"""Pictures and recordings as text."""
