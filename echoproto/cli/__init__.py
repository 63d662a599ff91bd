"""
The command ``echoproto``: one module per subcommand, which :mod:`.main` imports when it is run.

Shared by the subcommands: :mod:`.options`, :mod:`.output`, :mod:`.runner`, :mod:`.tables`,
:mod:`.progress` and :mod:`.exitcodes`. Nothing of the library imports this package.
"""
