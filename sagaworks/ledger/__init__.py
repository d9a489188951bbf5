"""The ledger: one row an execution, in the service's own database, in the effect's transaction."""
