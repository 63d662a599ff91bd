"""
Twisted's own tests of reactors, run on the direct reactor and, beside it, on the stock epoll
reactor: what passes there passes here.

``python -m tests.reactors``; see :mod:`tests.reactors.__main__`.
"""
