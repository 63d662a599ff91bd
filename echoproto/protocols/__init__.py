"""
The services, for any Twisted application.

====================== ======================================================
:mod:`.echo`           the echo service; :mod:`.echoplus` with counters
:mod:`.greeting`       the greeting service
:mod:`.stream`         the base class of stream services;
                       :mod:`.lifecycle` ends their connections
:mod:`.streamfactory`  builds and drains connections; :mod:`.connections`
:mod:`.datagram`       the base class of datagram services
:mod:`.admission`      decides which clients are served
:mod:`.faults`         faults on purpose
:mod:`.observer`       receives the events of a service
====================== ======================================================
"""
