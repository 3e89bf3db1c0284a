"""What this repository is worked on with; nothing here is installed or imported by a package."""
