"""
Attacks on a running server over real sockets, with measured results.

``python -m pytest -m hostile`` runs them all and prints a table; ``--keep-figures`` also writes it
to ``docs/reliability.md``. They take minutes, so a plain ``python -m pytest`` does not select them.
They are functions, which ``trial`` does not collect.
"""
