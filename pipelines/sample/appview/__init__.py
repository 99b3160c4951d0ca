"""What is served: the world as an AppView, the accounts' servers and the PLC directory show it."""
