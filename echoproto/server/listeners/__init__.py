"""Opens the listeners, all or none, builds what serves them, and drains them."""
