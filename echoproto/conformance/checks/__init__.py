"""The checks, one module per subject; :mod:`echoproto.conformance.suite` has them in order."""
