"""The full disk, for this room's tests."""

from full_disk import full_disk

__all__ = ["full_disk"]
