"""
The JSON documents of the commands: one module for each, with its fields and how they are filled.

Documents are msgspec structs, with which they are written, decoded and validated;
:mod:`echoproto.report.schema` makes the published schemas of them. A field is called as the
attribute that it is filled from; its JSON name (:data:`~.values.JSON_NAMES`) has the unit: times
end in ``_ns``, sizes in ``_bytes``. :data:`~.document.VERSION` changes if the meaning of a field
changes or a field is removed; new fields may be added, so readers ignore unknown ones.
"""
