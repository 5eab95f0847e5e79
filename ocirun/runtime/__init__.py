"""The OCI runtime: config to plan, plan to process."""
