"""
The program on real sockets of this machine. Nothing is sent to any other.

Everything that can be shown in memory is shown in memory; here stands what only the kernel,
``twistd`` or another program can show.
"""
