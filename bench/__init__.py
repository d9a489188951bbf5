"""The yardstick: the same saga by Sagaworks and by plain pyzeebe, on one engine, in one run."""
