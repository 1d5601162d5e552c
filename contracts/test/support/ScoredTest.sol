// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreTest} from "./ScoreTest.sol";

/// @notice A round that all three evaluators have scored alike.
abstract contract ScoredTest is ScoreTest {
    function _ready() internal {
        _vested(2);
        uint256[][] memory reports = new uint256[][](3);
        for (uint256 k = 0; k < 3; ++k) {
            reports[k] = _report(3, 1);
        }
        _scored(reports);
    }

    function _everyoneLeaves() internal {
        _claimScore(0, 1);
        _claimScore(1, 1);
        for (uint256 k = 0; k < 3; ++k) {
            _collect(k);
            _withdrawScoreBond(k);
        }
        if (scores.restOf(id) != 0) _returnRest();
    }
}
