// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScorePhase} from "../src/interfaces/IContributionScores.sol";
import {ScoreTest} from "./support/ScoreTest.sol";

/// @notice What scoring costs at most, base fee and calldata included: each call is its own transaction here.
/// forge-config: default.isolate = true
contract ScoreGasTest is ScoreTest {
    uint256 private constant MOST = 16_777_216; // that one transaction may take: EIP-7825
    uint256 private constant COMMIT = 100_000;
    uint256 private constant SMALL_REVEAL = 70_000;
    uint256 private constant LARGE_REVEAL = 130_000;
    uint256 private constant SMALL_SETTLEMENT = 300_000;
    uint256 private constant EQUAL_SETTLEMENT = 1_200_000;
    uint256 private constant CLAIM = 90_000;
    uint256 private constant COLLECT = 55_000;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function test_scoring__of5UpdatesBy3Evaluators__staysUnderItsBars() public {
        _measure(3, 5, SMALL_REVEAL, SMALL_SETTLEMENT);
    }

    function test_scoring__of256UpdatesBy15Evaluators__fitsATransaction() public {
        _measure(15, 256, LARGE_REVEAL, MOST);
    }

    function _measure(uint256 evaluators, uint256 updates, uint256 revealBar, uint256 settleBar) private {
        (rules.minUpdates, rules.maxUpdates) = (1, 256);
        _usualPanel(evaluators);
        _vested(updates);
        for (uint256 k = 0; k < evaluators; ++k) {
            _commitScores(k, 1, _dearReport(k, evaluators, updates));
            _spent("commit", COMMIT);
        }
        for (uint256 k = 0; k < evaluators; ++k) {
            _revealScores(k, 1, _dearReport(k, evaluators, updates));
            _spent("reveal", revealBar);
        }
        _settleScores(1);
        _spent("settle", settleBar);
        _claimScore(0, 1);
        _spent("claim", CLAIM);
        _claimScore(updates - 1, 1);
        _spent("claim", CLAIM);
        _collect(0);
        _spent("collect", COLLECT);
    }

    /// @dev Parts fall from evaluator to evaluator, so that each is inserted below all before it. No zero bytes.
    function _dearReport(uint256 k, uint256 evaluators, uint256 updates)
        private
        pure
        returns (uint256[] memory report)
    {
        report = new uint256[]((updates + 7) / 8);
        for (uint256 update = 0; update < updates; ++update) {
            report[update / 8] |= 0x00F10101 + (evaluators - k) << 224 - 32 * (update % 8);
        }
    }

    function test_settle__equally__costsNoMoreThanTheWeights() public {
        (rules.minUpdates, rules.maxUpdates) = (1, 256);
        _vested(256);
        _warpScores(1, ScorePhase.Due);
        _settleScores(1);
        _spent("equal settlement", EQUAL_SETTLEMENT);
    }

    function _spent(string memory what, uint256 most) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        emit Measured(what, gas);
        assertLe(gas, most, what);
    }
}
