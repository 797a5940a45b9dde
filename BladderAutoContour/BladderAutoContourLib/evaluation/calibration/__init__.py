"""How sure a result says it is, fitted on generated scans: confidence, the CRF-RNN's temperature, a slice's doubt."""
