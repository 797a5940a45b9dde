"""The engine as a process of its own: kept warm, listened to, ended; and its failures in words."""
