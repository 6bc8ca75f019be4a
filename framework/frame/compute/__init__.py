"""What computes: device, processes, signals, randomness, memory."""
