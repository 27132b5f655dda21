"""Readers of books, one module a format."""
