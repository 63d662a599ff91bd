"""Tests, in the same layout as the package."""

import signal

# Background jobs of a shell ignore Ctrl-C, and so would all programs that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
