"""Who does it: one module a service, its steps and what undoes them."""
