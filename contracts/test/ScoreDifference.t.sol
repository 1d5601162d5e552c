// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreLib} from "../src/libraries/ScoreLib.sol";
import {Test} from "./support/Test.sol";

/// @dev A random round as the Python side has it.
struct RandomScores {
    uint256[][] reports; // empty where an evaluator opened nothing
    uint256 updates;
    uint256 rejected;
    uint256 pot;
    uint256[] weights;
    uint256[] equalWeights;
    uint256[] distances; // of the reports that are not empty
    uint256 rest;
    uint256 equalRest;
}

/// @notice A thousand random settlements, made by Python just before: both languages must have the same numbers.
contract ScoreDifferenceTest is Test {
    using ScoreLib for uint256[];
    using ScoreLib for uint256[][];

    string private constant SCORES = "../tests/fixtures/random_scores.bin";
    uint256 private constant SETTLEMENTS = 1_000;

    function test_settlements__asPythonHasThem__agreeInEveryNumber() public view {
        RandomScores[] memory all = abi.decode(vm.readFileBinary(SCORES), (RandomScores[]));
        assertEq(all.length, SETTLEMENTS, "number of settlements");
        for (uint256 k = 0; k < all.length; ++k) {
            _compare(all[k]);
        }
    }

    function _compare(RandomScores memory round) private pure {
        _same(round.reports.medians(round.updates, round.rejected), round.weights, "medians");
        _same(ScoreLib.equal(round.updates, round.rejected), round.equalWeights, "equal weights");
        assertEq(round.weights.leftover(round.pot, round.weights.sum()), round.rest, "rest");
        assertEq(round.equalWeights.leftover(round.pot, round.equalWeights.sum()), round.equalRest, "equal rest");
        uint256 count = 0;
        for (uint256 k = 0; k < round.reports.length; ++k) {
            if (round.reports[k].length == 0) continue;
            assertTrue(round.reports[k].endsAt(round.updates), "form");
            assertEq(round.reports[k].distance(round.weights), round.distances[count++], "distance");
        }
        assertEq(count, round.distances.length, "number of reports");
    }

    function _same(uint256[] memory actual, uint256[] memory expected, string memory what) private pure {
        assertEq(actual.length, expected.length, what);
        for (uint256 k = 0; k < actual.length; ++k) {
            assertEq(actual[k], expected[k], what);
        }
    }
}
