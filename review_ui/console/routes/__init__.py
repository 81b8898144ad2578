"""Handlers: find out, call one function, render one typed page."""
