"""
Other people's echo servers beside ours, graded by ``echoproto conformance``: ``python -m
tests.interop`` writes ``docs/conformance.md``; ``tests/loopback/test_conformance.py`` has what must
come of it.
"""
