"""The developer's own cloud: what `make run`, `make stop`, `make ask` and `make lock` do."""
