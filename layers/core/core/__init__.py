"""Core room: what every function shares. Values, contracts, queues, platforms, the store, and the doors' plumbing."""
