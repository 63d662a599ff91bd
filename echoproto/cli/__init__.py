"""
The ``echoproto`` command: :mod:`.command` finds the subcommand, and each has a file of its own.

============= ==========================================================
:mod:`.serve`  ``echoproto serve``: the server in the foreground
============= ==========================================================

Nothing of the library imports it.
"""
