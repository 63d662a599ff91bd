from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.documents.origin import OptionValue
from echoproto.report.result import StoredResult
from echoproto.report.shares import missingShares, otherRemarks
from tests.report.sampleresults import sampleOrigin, storedResult


def shareResult(*shares: OptionValue, remarks: tuple[str, ...] = ()) -> StoredResult:
    """A result, merged if there are several shares, with these values of ``--share``."""
    origins = (replace(sampleOrigin(), options={"share": share}) for share in shares)
    return storedResult(origins=tuple(origins), remarks=remarks)


class MissingSharesTests(SynchronousTestCase):
    def missing(self, *results: StoredResult) -> list[str]:
        return [line.rpartition(": ")[2] for line in missingShares(results)]

    def test_missing(self) -> None:
        """Shares that are not there are named, also those of results that were merged before."""
        self.assertEqual(
            missingShares([shareResult([0, 3]), shareResult([1, 3])]),
            ["missing of the shares of --share: 2/3"],
        )
        self.assertEqual(self.missing(shareResult([0, 4], [3, 4])), ["1/4, 2/4"])

    def test_complete(self) -> None:
        """Nothing is missing if all shares are there, or if there are none."""
        self.assertEqual(self.missing(shareResult([0, 2]), shareResult([1, 2])), [])
        self.assertEqual(self.missing(shareResult(None), storedResult()), [])

    def test_severalRuns(self) -> None:
        """Of several runs, those shares are missing that are there less often than others."""
        whole = shareResult([0, 2], [1, 2])
        self.assertEqual(self.missing(whole, whole), [])
        self.assertEqual(self.missing(whole, shareResult([1, 2]), shareResult([0, 1])), ["0/2"])

    def test_many(self) -> None:
        """Of many missing shares, the first are named."""
        self.assertEqual(
            self.missing(shareResult([4, 999_999])), ["0/999999, 1/999999, 2/999999, ..."]
        )

    def test_invalid(self) -> None:
        """Values that the command does not write are no shares: a file may have any."""
        values: tuple[OptionValue, ...] = ([3, 3], [-1, 3], [0, 10**18], ["0", 3], [0], "0/3", 5)
        for value in values:
            self.assertEqual(self.missing(shareResult(value)), [])

    def test_otherRemarks(self) -> None:
        """A share that was missing may be among the results that are merged later."""
        [line] = missingShares([shareResult([0, 3])])
        self.assertEqual(otherRemarks(shareResult(remarks=("doubt", line))), ["doubt"])
