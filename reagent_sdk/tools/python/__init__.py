"""Running model-written Python behind walls."""
