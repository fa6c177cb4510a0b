"""What tests share: a scripted upstream, a live server, the schema checker, an assembled engine."""
