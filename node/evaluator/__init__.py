"""An evaluator: measures a model on its own data, commits to the number, reveals it, is paid."""
