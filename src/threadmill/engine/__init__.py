"""What happens, in what order. Talks to the world only through `ports`."""
