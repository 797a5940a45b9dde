"""How the weights come about: data, losses, trainer. torch and numpy alone."""
