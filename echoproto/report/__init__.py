"""
Saved results: read from files, merged exactly, compared with the noise that they have, and shown.

Called by ``echoproto report`` and by programs, by way of :mod:`echoproto.measure`. Pure, save that :mod:`.loader` opens files; knows no
reactor and nothing of how results are made.

==================== ==========================================================
:mod:`.validation`      values of a file of which nothing is known
:mod:`.loader`       :func:`readResults`: results from files
:mod:`.decoder`     results from documents
:mod:`.result`         such a result
:mod:`.merge`       :func:`mergeResults`: one of many, exactly
:mod:`.statistics`        what chance does to counts
:mod:`.statistics`    how much the exchanges of a run know of each other
:mod:`.compare`     :func:`compare`: whether two differ by more than noise
:mod:`.export`     a report as values for JSON and CSV
:mod:`.table`          a report in columns of words
:mod:`.charts`      what there is to see of results; needs the extra ``plot``
:mod:`.figures`       a report in pictures
:mod:`.html`          a report as a page of HTML
==================== ==========================================================
"""
