"""What makes a denoiser of something."""
