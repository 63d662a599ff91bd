"""
``echoproto monitor``: probes many echo servers for as long as it runs, and shows their state.

:mod:`.settings` reads the file, :mod:`.monitor` has a :class:`.prober.Prober` for each target,
:mod:`.metrics` and :mod:`.web` show the :mod:`.counters`.
"""
