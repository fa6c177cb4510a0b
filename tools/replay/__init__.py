"""Plays recorded exchanges of the hosted service against a live server and tells every difference."""
