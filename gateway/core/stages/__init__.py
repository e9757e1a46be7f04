"""Stages between a question and the transport, one file each; their contract is gateway/contract/stage.py."""
