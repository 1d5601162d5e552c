"""What a running node shows of itself: metrics, curves, logs. It hears notices; no work depends on it."""
