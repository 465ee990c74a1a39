"""What is assumed: joint distributions with closed forms where there are any, and the autoencoder."""
