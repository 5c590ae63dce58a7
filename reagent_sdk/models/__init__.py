"""Where local model weights come from."""
