"""Files that survive a crash: folders written whole or not at all, read through one handle, and verified."""
