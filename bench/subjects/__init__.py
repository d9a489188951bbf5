"""What is measured: one module for each kind of worker, and the list of them all."""
