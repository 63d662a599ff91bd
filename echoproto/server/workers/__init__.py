"""Several worker processes that share the listeners, and their supervisor."""
