"""Stages, one file each, that handle a request before the transport. Interface: gateway/contract/stage.py."""
