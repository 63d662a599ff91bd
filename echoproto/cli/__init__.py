"""
The ``echoproto`` command: :mod:`.main` finds the subcommand, and each has a file of its own.

=================== ==========================================================
:mod:`.serve`       ``echoproto serve``: the server in the foreground
:mod:`.ping`        ``echoproto ping``
:mod:`.load`        ``echoproto load``
:mod:`.loadoutput`  the forms in which ``load`` is written
:mod:`echoproto.measure.load.workers`    the processes of ``load --workers``; :mod:`echoproto.measure.load.worker` is one of them, :mod:`echoproto.measure.load.messages` what they say
:mod:`.verify`      ``echoproto verify``
:mod:`.conformance`       its ``--suite``
:mod:`.greet`       ``echoproto greet``
:mod:`.report`      ``echoproto report``
:mod:`.measuring`   runs one of the last five, which need the extra ``measure``
:mod:`.runner`        one measurement of one target, which ``load`` and ``verify`` are
:mod:`.progress`    the bar that they show on a terminal
:mod:`.processes`   how many of them ``--workers`` says
:mod:`.options`  kinds of values, and options in groups
:mod:`.way`         the options that tell the way to the targets
:mod:`.output`      where a measurement is written, and in which form
:mod:`.tables`      tables on a terminal and in a pipe
:mod:`.exitcodes`      exit statuses, and what is said of what went wrong
=================== ==========================================================

Nothing of the library imports it.
"""
