"""Jobs, pictures, the command line and the report."""
