"""
Saved results: read from files, merged exactly, compared with the noise that they have, and shown.

Called by ``echoproto report`` and by programs, by way of :mod:`echoproto.measure`. Pure, save that :mod:`.reading` opens files; knows no
reactor and nothing of how results are made.

==================== ==========================================================
:mod:`.checking`      values of a file of which nothing is known
:mod:`.reading`       :func:`readResults`: results from files
:mod:`.restoring`     results from documents
:mod:`.saved`         such a result
:mod:`.merging`       :func:`mergeResults`: one of many, exactly
:mod:`.chance`        what chance does to counts
:mod:`.dependence`    how much the exchanges of a run know of each other
:mod:`.comparing`     :func:`compare`: whether two differ by more than noise
:mod:`.reporting`     a report as values for JSON and CSV
:mod:`.grid`          a report in columns of words
:mod:`.plotting`      what there is to see of results; needs the extra ``plot``
:mod:`.drawing`       a report in pictures
:mod:`.page`          a report as a page of HTML
==================== ==========================================================
"""
