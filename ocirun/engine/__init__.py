"""What users do, one file per verb; joins images and the runtime."""
