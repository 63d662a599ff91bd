"""
Stored results: load, merge, compare and show them; and the documents that all commands write.

:mod:`.schema` defines the documents, :mod:`.document` and :mod:`.export` write them, :mod:`.loader`
and :mod:`.decoder` read them. :mod:`.text` and :mod:`.table` are for terminals, :mod:`.charts`,
:mod:`.figures` and :mod:`.html` for pages. Nothing here knows a reactor.
"""
