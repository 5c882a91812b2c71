"""Chats with a checkpoint: what is said put into ids, what comes back read as text and images."""
