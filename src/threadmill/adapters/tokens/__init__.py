"""Offline vocabularies: how many tokens a text has, and where each one ends."""
