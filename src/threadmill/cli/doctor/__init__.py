"""`threadmill doctor`: what a server needs, looked at one by one."""
