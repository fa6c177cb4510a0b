"""What runs inside the sandbox: standard library only, copied in as plain source, nothing of the server beside it."""
