"""The reference protocol, spoken by a server and a client of its own."""
