"""`sluice doctor`: one module per part that it checks, listed in checks.py."""
