"""
The runs of the commands: what is measured or read, and how the result is shown.

They are apart from the options of the commands, because help and completion must neither wait for
the imports of a run nor need the extra ``measure``.
"""
