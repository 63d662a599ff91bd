from __future__ import annotations

from dataclasses import fields
from math import inf
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from echoproto.protocols.admission.datagramadmission import LOOPING_PORTS
from echoproto.protocols.greeting import SERVER_GREETING
from echoproto.protocols.timeouts import Timeouts
from echoproto.server.commandline.parameters import PARAMETERS
from echoproto.server.config.settings import Settings

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


class ParametersTests(SynchronousTestCase):
    def value(self, name: str, text: str) -> Any:
        return BY_NAME[name].parse(text)

    def test_defaults(self) -> None:
        """The written defaults are the defaults of the settings."""
        values = {
            parameter.name: parameter.parse(parameter.default)
            for parameter in PARAMETERS
            if parameter.default is not None
        }
        default = Settings([])
        self.assertEqual(values["greeting"], SERVER_GREETING)
        self.assertEqual(values["refused-ports"], LOOPING_PORTS)
        self.assertEqual(values["connection-rate"], default.connectionRate)
        self.assertEqual(values["connection-burst"], default.connectionBurst)
        self.assertEqual(values["datagram-rate"], default.datagramRate)
        self.assertEqual(values["when-full"], default.waitWhenFull)
        self.assertEqual(values["user-timeout"], default.userTimeout)
        self.assertEqual(values["drain"], default.drain)
        deadlines = [values[f"{parameter.name}-timeout"] for parameter in fields(Timeouts)]
        self.assertEqual(Timeouts(*deadlines), Timeouts())

    def test_limits(self) -> None:
        """0 is no limit, except for --max-connections, which is at least 1."""
        self.assertEqual(self.value("max-per-source", "0"), inf)
        self.assertEqual(self.value("connection-rate", "0"), inf)
        with self.assertRaises(ValueError):
            self.value("max-connections", "0")

    def test_files(self) -> None:
        """Paths and descriptions are not changed."""
        self.assertEqual(self.value("tls-cert", "a.pem"), "a.pem")
