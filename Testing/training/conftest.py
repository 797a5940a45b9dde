"""What the tests of training share."""

from full_disk import full_disk

__all__ = ["full_disk"]
