"""The direct reactor, with TLS and relays on its sockets; choosing a reactor; monotonic time."""
