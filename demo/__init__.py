"""The demo: orders of mixed fate on the real engine, and the books that prove the rest."""
