"""The runtime: a service's steps as a worker of the engine, on pyzeebe's channel and stubs."""
