"""Many runs of one recipe: values from a space, each trial an ordinary run, by Ray Tune and Optuna."""
