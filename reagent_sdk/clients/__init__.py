"""Clients for chat models: OpenAI-compatible endpoints, litellm, the embedded engine, Hugging Face weights."""
