"""What one does with a run: start, resume, repeat, reproduce, analyze, evaluate, predict, export."""
