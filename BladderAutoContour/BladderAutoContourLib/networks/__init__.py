"""The paper's mathematics as torch modules: channels, V-Net, CRF-RNN, and the plan that describes a run. torch and numpy alone."""
