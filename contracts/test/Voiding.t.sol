// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, RewardRule} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice What a void has to undo: that it reaches every merge, and what it costs at most.
contract VoidingTest is MarketTest {
    uint256 private constant MOST_GAS = 23_000_000;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function _void(uint16 round) private {
        vm.prank(market.proofs());
        market.voidMerge(id, round, rival);
    }

    /// @dev Its first 28 bytes would stand for "no merge": it could neither be voided nor released, nor would what it
    /// allocated ever come back.
    function testFuzz_merge__withARootThatStandsForNone__isRefused(uint32 end) public {
        _open(2);
        _updates(2);
        MergeClaim memory made = _claimOf(_share(1), 0, "");
        made.payoutRoot = bytes32(uint256(end));
        _refused(ErrorsLib.NoPayoutRoot.selector);
        _merge(aggregator, made);
        made.payoutRoot = bytes32(1 << 32 | uint256(end));
        _merge(aggregator, made);
        _void(1);
        assertEq(market.mergeOf(id, 1).vestsAt, 0, "void");
        _assertMoney(0, rules.pot + rules.bond / 2);
    }

    function test_merge__inTheSecondOfTheVoid__isRefused() public {
        _open(2);
        _updates(2);
        MergeClaim memory made = _claimOf(_share(1), 0, "");
        _merge(aggregator, made);
        bytes28 first = market.mergeOf(id, 1).recordHash;
        _void(1);
        _bond(rival);
        _refused(ErrorsLib.JustVoided.selector);
        _merge(rival, made);
        skip(1);
        _merge(rival, made);
        assertTrue(market.mergeOf(id, 1).recordHash != first, "no two have one record");
    }

    function test_voidMerge__onceTheRoundBeforeWasReleased__leavesItsShareAlone() public {
        rules.rewardRule = RewardRule.Contribution;
        _open(2);
        _updates(2);
        _merge(aggregator, _claimOf(_share(1), 0, ""));
        uint32 first = vestsAt;
        skip(10);
        _updates(2);
        _merge(aggregator, _claimOf(_share(2), 0, ""));
        vm.warp(first);
        vm.prank(market.scores());
        assertEq(market.release(id, 1), _share(1), "released");
        _refused(abi.encodeWithSelector(ErrorsLib.AlreadyVested.selector, first));
        _as(market.proofs());
        market.voidMerge(id, 1, rival);
        _void(2);
        _assertMoney(0, rules.pot - _share(1) + rules.bond / 2);
        assertEq(_balance(market.scores()), _share(1), "scores");
    }

    /// @dev Later rounds that were merged as well are paid as lapsed ones.
    /// forge-config: default.isolate = true
    function test_voidMerge__ofTheFirstOfTheMostRounds__leavesRoomForAProof() public {
        (rules.rounds, rules.challengeSeconds) = (512, 1_000_000);
        _open(2);
        for (uint16 round = 1; round <= rules.rounds; ++round) {
            for (uint256 k = 0; k < 2; ++k) {
                _commit(k);
            }
            for (uint256 k = 0; k < 2; ++k) {
                _reveal(k);
            }
            _merge(aggregator, _claimOf(_share(round), 0, ""));
        }
        _void(1);
        // a fifth comes back, but has to be there
        uint256 gas = uint256(vm.lastCallGas().gasTotalUsed) * 5 / 4;
        emit Measured("void", gas);
        assertLe(gas, MOST_GAS, "gas");
    }
}
