"""Tests with several hosts, which are network namespaces, and with a network between them."""
