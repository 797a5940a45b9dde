"""The paper's mathematics as torch modules: channels, V-Net, CRF-RNN, and a run's plan. torch and numpy alone."""
