"""Reading hostile files below allowed roots."""
