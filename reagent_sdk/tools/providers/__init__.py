"""Where search results come from. One file a provider."""
