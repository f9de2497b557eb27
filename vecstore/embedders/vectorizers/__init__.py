"""Embedders that are fitted to data, and their files: JSON and safetensors, never a pickle."""
