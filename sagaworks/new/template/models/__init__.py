"""What each service owns: its tables and facts; one database each."""
