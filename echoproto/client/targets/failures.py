"""Describes a failed connection, or a message that was not sent, in one line."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Mapping
from errno import EAGAIN, ECONNREFUSED, EMFILE, EMSGSIZE, ENFILE
from os import strerror
from typing import Any

from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure

from echoproto.protocols.greeting import SERVER_GREETING

#: X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL.
_OTHER_HOST = (62, 64)

#: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL.
_NOT_YET_VALID, _EXPIRED = 9, 10

#: Reasons of OpenSSL if the first data is no record of TLS, or our own, returned by a plain echo.
_NOT_TLS = ("wrong version number", "http request", "unexpected message")

_REFUSED_CERTIFICATE = "the server does not accept the certificate of --cert"

#: What to try, by words of OpenSSL's reason for an alert of the server (RFC 8446 section 6.2).
_TLS_REMEDIES = {
    "alert certificate required": "give a certificate of the client by --cert and --key",
    "alert bad certificate": _REFUSED_CERTIFICATE,
    "alert certificate ": _REFUSED_CERTIFICATE,
    "alert unsupported certificate": _REFUSED_CERTIFICATE,
    "alert unknown ca": _REFUSED_CERTIFICATE,
    "unrecognized name": "--servername NAME requests another name",
    "no application protocol": "the server has none of the protocols of --alpn",
}


def describeFailure(failure: Failure, target: str = "") -> str:
    """The cause and a remedy, in one line that begins with the target's name."""
    description = _tlsFailure(failure.value) or failureReason(failure)
    if _exceedsDescriptors(failure.value):
        description = "too few file descriptors; raise the limit (ulimit -n)"
    elif failure.check(ConnectBindError):
        description = f"cannot send from the address of -I: {description}"
    named = not target or description.startswith(target)
    return description if named else f"{target}: {description}"


def _exceedsDescriptors(error: BaseException | None) -> bool:
    """Whether a socket could not be made, as Twisted reports it like a source that is in use."""
    number = getattr(error, "osError", getattr(error, "errno", None))
    return number in (EMFILE, ENFILE) or strerror(EMFILE) in str(error)


def _tlsFailure(error: BaseException | None) -> str:
    """The description of a TLS failure; empty for any other."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {_certificateFault(error.verify_code, error.verify_message)}"
    reason = _openSSLReason(error)
    if not reason:
        return ""
    if reason in _NOT_TLS:
        return "TLS: the server's answer is not TLS: try tcp:// instead"
    return f"TLS: {reason}; {_tlsRemedy(reason) or 'does that port speak TLS 1.2 or later?'}"


def _tlsRemedy(reason: str) -> str:
    """The remedy of an alert that the server has sent; empty without a known one."""
    return next((remedy for words, remedy in _TLS_REMEDIES.items() if words in reason), "")


def _certificateFault(code: int, message: str) -> str:
    """Why a certificate is not accepted, with the remedy for this reason."""
    if code in _OTHER_HOST:
        # "Hostname mismatch, certificate is not valid for 'lab1'."
        fault = message.rpartition(", ")[2].rstrip(".")
        return f"{fault}; --servername NAME verifies another name, --insecure accepts any"
    if code == _EXPIRED:
        return f"{message}; renew it on the server"
    if code == _NOT_YET_VALID:
        return f"{message}; check the clocks of both machines"
    return f"{message}; --ca FILE trusts the certificates in it, --insecure any"


#: Why TLS could not begin on a connection that was made.
NO_HANDSHAKE = (
    "the server does not answer the TLS handshake; if it does not expect TLS, try tcp:// instead"
)

#: Why a server may have closed a connection that it has not served.
CLOSED_HINT = "; it may have reached a limit, not allow this client, or expect a PROXY header"

#: Why TLS could not begin on a connection that the server has closed.
CLOSED_HANDSHAKE = (
    f"the server closed the connection during the TLS handshake{CLOSED_HINT} or no TLS: try tcp:// "
    "then"
)

#: What to try if a server on UDP sets the fields of UDPEchoPlus in what it returns.
ECHO_PLUS_HINT = "the server speaks UDPEchoPlus; try ping --mode udp-plus"


def _openSSLReason(error: BaseException | None) -> str:
    """The reason of OpenSSL, in lower case; empty for any other error."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no reason given").lower().replace("_", " ")
    # Endpoints of Twisted have TLS of their own, whose errors are a queue of OpenSSL's.
    match getattr(error, "args", ()):
        case ([*_, (_, _, str(reason))],):
            return reason
    return ""


def closedHint(transport: Any) -> str:
    """
    Why a server may have closed a connection and has sent nothing. TLS servers do, OpenSSL among
    them, if the first data is no record of TLS.

    :param transport: that of the connection.
    :return: the continuation of a reason.
    """
    isTCP = getattr(transport.getPeer(), "type", None) == "TCP"
    isPlain = isTCP and not ISSLTransport.providedBy(transport)
    return f"{CLOSED_HINT} or TLS: try tls:// then" if isPlain else CLOSED_HINT


def reasonsAfterAnswer(reasons: Mapping[str, int]) -> Counter[str]:
    """
    The reasons of a run without the hint of :func:`closedHint`: the server has answered after all.

    :param reasons: numbers by reason.
    """
    found = Counter[str]()
    for reason, count in reasons.items():
        found[reason.partition(CLOSED_HINT)[0]] += count
    return found


def tlsHint(received: bytes) -> str:
    """
    What to try if a server without TLS, as it was believed to be, has answered with TLS.

    :param received: its first data.
    :return: the continuation of a reason; empty if the data does not begin with a record of TLS: an
        alert or a handshake (RFC 8446 section 5.1).
    """
    isRecord = received[:2] in (b"\x15\x03", b"\x16\x03")
    return "; it answered with a TLS record: try tls:// instead" if isRecord else ""


#: What to try if a server returns our greeting service's text instead of the data.
GREETING_HINT = "this is a greeting service; try echoproto greet"


def answerHint(received: bytes) -> str:
    """
    What to try if a server speaks TLS, or greets, instead of echoing in plain text.

    :param received: its first data.
    :return: the continuation of a reason; empty if the data shows no other service.
    """
    isGreeting = received.startswith(SERVER_GREETING)
    return f"; {GREETING_HINT}" if isGreeting else tlsHint(received)


def failureReason(failure: Failure) -> str:
    """The cause of a failed connection, in a few words and without a full stop."""
    error = failure.value
    if isinstance(error, ConnectionRefusedError):
        return "refused: nothing listens there"
    if isinstance(error, ssl.SSLError):
        return _tlsFailure(error)
    # The kernel's text, without Twisted's prefix.
    text = error.args[0] if isinstance(error, ConnectError) and error.args else ""
    return str(text or error).rstrip(".") or type(error).__name__


def endReason(reason: Failure) -> str:
    """Why a connection has ended, in a few words and without a full stop."""
    error = reason.value
    if isinstance(error, ssl.SSLError):
        # With TLS 1.3 a server refuses the client's certificate only after the handshake.
        name = _openSSLReason(error)
        return "; ".join(filter(None, (f"TLS: {name}", _tlsRemedy(name))))
    if not isinstance(error, ConnectionLost):
        return reason.getErrorMessage().rstrip(".")
    detail = f": {error.args[0]}" if error.args else ""
    return f"it was reset or interrupted{detail}"


def networkErrorReason(number: int) -> str:
    """
    Why a target is unreachable, as the network reports it (ICMP).

    :param number: the errno; 0 if it is unknown.
    """
    if number == EMSGSIZE:
        return "too large for the path"
    isRefusal = number in (0, ECONNREFUSED)
    return "refused: nothing listens there" if isRefusal else f"unreachable: {strerror(number)}"


def sendErrorReason(error: Exception) -> str:
    """Why a message was not sent, in a few words and without a full stop."""
    if isinstance(error, OSError):
        isFull = error.errno == EAGAIN
        return f"not sent: {'the send buffer is full' if isFull else error.strerror or error}"
    return f"not sent: {error}"
