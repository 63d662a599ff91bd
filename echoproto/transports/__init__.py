"""
What may stand under a protocol: UDP ports that answer from the right address, TLS with half-close,
PROXY headers, UNIX sockets.
"""
