"""Tests, which mirror the package file for file."""

import signal

# Who runs in the background of a shell ignores Ctrl-C, and so would every program that a test
# interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
