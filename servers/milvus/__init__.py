"""The Milvus server from its wheel, in a network of its own.

It listens on all addresses of the machine whatever its settings say, so each server gets a network namespace, in which
its ports are those of its documentation, and one port on the loopback address of ours is relayed to it.
"""
