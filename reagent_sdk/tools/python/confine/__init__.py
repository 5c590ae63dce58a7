"""What runs on the other side: a small supervisor that walls a command in, watches it and leaves nothing behind.

Started without site-packages and without the rest of the SDK, so that it costs a few milliseconds; hence standard
library only, and relative imports: here the package is called `confine`.
"""
