"""The files for containers, balancers and monitoring, tested with the programs that read them."""
