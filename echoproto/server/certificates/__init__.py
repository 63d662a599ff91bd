"""Certificates of TLS listeners: their files, and the process that reads them."""
