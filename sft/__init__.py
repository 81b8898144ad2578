"""Demonstrations become an adapter, and prompts become answers."""
