"""The rules of the product as plain values: standard library only, no IO, no clock, no randomness."""
