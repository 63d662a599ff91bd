"""Tests, in the same layout as the package."""

import signal

from hypothesis import HealthCheck, settings

# Background jobs of a shell ignore Ctrl-C, and so would all programs that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of the code under test.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
