"""Values as people write and read them: with units, made printable, or mistyped."""
