"""
Runs ``echoproto conformance`` against echoproto and other echo servers.

``python -m tests.interop`` writes ``docs/conformance.md``; ``tests/loopback/test_conformance.py``
asserts the expected results.
"""
