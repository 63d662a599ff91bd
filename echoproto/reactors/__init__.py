"""The direct reactor, with relays between its sockets; choosing a reactor; monotonic time."""
