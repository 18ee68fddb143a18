"""What the figures and the claims of Kaplan et al. 2020 measure alike."""
