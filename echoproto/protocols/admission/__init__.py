"""Decides which connections are served and which datagrams are answered."""
