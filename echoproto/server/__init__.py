"""
The running program: ``twistd echoproto`` and ``echoproto serve``.

==================== ========================================================
:mod:`.commandline`  the table of options; the command line
:mod:`.config`       settings and listeners, as values
:mod:`.application`  the whole program: listeners, signals, status, systemd
:mod:`.listeners`    opens the listeners, all or none, and drains them
:mod:`.certificates` the certificates of listeners with TLS
:mod:`.workers`      several processes, of ``echoproto serve``
:mod:`.monitoring`   log and metrics
:mod:`.runner`       runs a service in the foreground
==================== ========================================================

Only :mod:`echoproto.cli` and the ``twistd`` plugin use it.
"""
