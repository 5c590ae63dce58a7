"""`python -m reagent_sdk` is the `reagent` command."""

import sys

from reagent_sdk.cli import main

sys.exit(main())
