"""
The command ``echoproto``: one module per subcommand, which :mod:`.main` imports when it is run. It
has the options; :mod:`.sessions` has the runs, which are imported when they begin.

Nothing of the library imports this package.
"""
