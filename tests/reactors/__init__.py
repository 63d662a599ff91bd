"""
Twisted's own reactor tests, run on the direct reactor and on the stock epoll reactor.

Every test that passes on the stock reactor must pass on the direct one. Run ``python -m
tests.reactors``; see :mod:`tests.reactors.__main__`.
"""
