"""
The ``echoproto`` command: :mod:`.command` finds the subcommand, and each has a file of its own.

=================== ==========================================================
:mod:`.serve`       ``echoproto serve``: the server in the foreground
:mod:`.ping`        ``echoproto ping``
:mod:`.load`        ``echoproto load``
:mod:`.verify`      ``echoproto verify``
:mod:`.suite`       its ``--suite``
:mod:`.greet`       ``echoproto greet``
:mod:`.report`      ``echoproto report``
:mod:`.measuring`   runs one of the last five, which need the extra ``measure``
:mod:`.once`        one measurement of one target, which ``load`` and ``verify`` are
:mod:`.parameters`  kinds of values, and options in groups
:mod:`.way`         the options that tell the way to the targets
:mod:`.output`      where a measurement is written, and in which form
:mod:`.tables`      tables on a terminal and in a pipe
:mod:`.ending`      exit statuses, and what is said of what went wrong
=================== ==========================================================

Nothing of the library imports it.
"""
