"""What `pip` is inside the sandbox, where there is no network: it tells what is there."""
