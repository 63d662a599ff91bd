"""The log and the metrics of the server, and the counters under them."""
