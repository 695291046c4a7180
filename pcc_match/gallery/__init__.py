"""Galleries on disk: immutable checksummed segments under one atomically replaced manifest."""
