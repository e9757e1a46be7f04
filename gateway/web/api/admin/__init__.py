"""Administration, under /api/admin. Every change is in the audit log."""
