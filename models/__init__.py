"""What the services own: each one's tables and facts, and the migrations of its database."""
