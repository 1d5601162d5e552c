// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MarketTest} from "./MarketTest.sol";

/// @notice Rounds of two providers, merged, that pay each of them the same.
abstract contract PaidTest is MarketTest {
    /// @dev Open a bounty with two providers and merge `count` rounds that pay each of them `each`.
    function _playRounds(uint16 count, uint96 each) internal {
        _open(2);
        for (uint16 round = 1; round <= count; ++round) {
            _playRound(each * round, each);
        }
    }

    function _playRound(uint96 cumulative) internal {
        _playRound(cumulative, cumulative / _round());
    }

    function _playRound(uint96 cumulative, uint96 each) internal {
        _updates(2);
        _setEqualPayouts(2, cumulative);
        _merge(aggregator, 2 * each);
    }
}
