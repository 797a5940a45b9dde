"""CRF-RNN and networks beside others' programs, beside brute force, and beside what the machine does at best."""
