"""The embedded engine as a process of its own: `python -m reagent_sdk.serving.engine_process '{"model": ...}'`.

Loading holds Python's global lock, and native code that crashes takes its process along. Neither may happen to the
process that answers probes and callers.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from urllib.parse import urlsplit

from reagent_sdk.clients.embedded import Embedded
from reagent_sdk.errors import ReagentError
from reagent_sdk.serving.child import PORT_LINE

KEY_VARIABLE = "REAGENT_ENGINE_KEY"


def main() -> None:
    """Loads what the order names, tells the port, and serves until killed."""
    order = json.loads(sys.argv[1])
    try:
        client = Embedded(**order)
        client.engine.api_key = os.environ.pop(KEY_VARIABLE)
        port = urlsplit(client.engine.base_url).port
    except ReagentError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.write(f"{PORT_LINE}{port}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
