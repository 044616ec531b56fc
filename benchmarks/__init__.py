"""Measurements that the README and the notes quote; each is a command of its own."""
