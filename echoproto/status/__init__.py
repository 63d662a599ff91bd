"""The status listener of a program that runs for long: its pages over HTTP, and their metrics."""
