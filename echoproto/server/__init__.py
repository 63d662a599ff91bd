"""
The running program: ``twistd echoproto``.

========================= ======================================================
:mod:`.descriptions`      what the operator wrote, as listeners (pure)
:mod:`.sockets`           bound stream sockets, IPv4 and IPv6 apart
:mod:`.opening`           opens one listener on this machine, or says why not
:mod:`.service`           opens the listeners, all or none; drains them
:mod:`.log`               the observer that writes log lines
:mod:`.options`           the options of ``twistd echoproto``, and nothing else
========================= ======================================================

Nothing outside this folder imports it, save the ``twistd`` plugin by name.
"""
