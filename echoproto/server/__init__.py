"""
The running program: ``twistd echoproto`` and ``echoproto serve``.

=================== =========================================================
:mod:`.parameters`  the table of options; :mod:`.options` the command line
:mod:`.config`      settings and listeners, as values
:mod:`.application` the whole program: listeners, signals, status, systemd
:mod:`.listening`   opens the listeners, all or none, and drains them
:mod:`.builder`     builds the runtime of a listener
:mod:`.ports`       opens a listener, or explains why not; :mod:`.sockets`
:mod:`.workers`     several processes, of ``echoproto serve``
:mod:`.monitoring`  log, metrics and status
:mod:`.runner`      runs a service in the foreground
=================== =========================================================

Only :mod:`echoproto.cli` and the ``twistd`` plugin use it.
"""
