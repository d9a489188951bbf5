"""What a worker lets people see: logs and metrics."""
