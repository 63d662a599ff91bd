"""
Attacks on a running server over real sockets, each with a figure.

``python -m pytest -m hostile`` runs them all and prints the table; with ``--keep-figures`` it also
writes it into ``docs/reliability.md``. They are functions, so that ``trial`` does not run them a
second time, and are left out of a plain ``python -m pytest``: they take minutes.
"""
