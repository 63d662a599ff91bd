"""Services with faults on purpose, to test clients."""
