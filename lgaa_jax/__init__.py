"""Lifelong Generative Adversarial Autoencoder (LGAA) in JAX and Flax."""
