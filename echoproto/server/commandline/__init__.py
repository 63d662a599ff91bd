"""The options of ``twistd echoproto``: their table, their values, and ``--help``."""
