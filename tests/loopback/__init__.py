"""
Tests of the program on real sockets of this machine; nothing is sent to others.

They cover only behaviour of the kernel, ``twistd`` or other programs; everything else is tested in
memory.
"""
