"""`python -m reagent_training`: the commands `data` and `train`, for machines where `reagent` is not on the path."""

from __future__ import annotations

import sys

from reagent_sdk.cli import main

if __name__ == "__main__":
    sys.exit(main())
