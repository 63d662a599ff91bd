"""
Stored results: load, merge, compare and show them; and the documents that all commands write.

:mod:`.documents` defines and fills the documents, :mod:`.loader` and :mod:`.decoder` read them.
:mod:`.text` and :mod:`.table` are for terminals, :mod:`.charts`, :mod:`.figures` and :mod:`.html`
for pages. Nothing here knows a reactor.
"""
