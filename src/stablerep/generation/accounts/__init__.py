"""What generation cost and with what it was done: ledger, energy, software."""
