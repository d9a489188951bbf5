"""`sagaworks history`: takes the engine's records, keeps what is needed of them, and answers."""
