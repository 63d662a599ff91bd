"""The settings of the server and its listeners, as values, and their forms in text."""
