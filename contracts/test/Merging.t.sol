// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, Phase} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {PaidTest} from "./support/PaidTest.sol";

/// @notice Merging a round.
contract MergingTest is PaidTest {
    function test_merge__byTheNamedAggregator__allocatesAndOpensTheNextRound() public {
        _open(2);
        _updates(2);
        _setEqualPayouts(2, _share(1) / 2);
        MergeClaim memory newMerge = _claimOf(_share(1) / 2 * 2, 0, "");
        bytes28 record = _recordHash(newMerge);
        vm.expectEmit(address(market));
        emit EventsLib.Merged(id, 1, aggregator, newMerge, 2, 0, _now(), _now() + 100, record);
        vm.expectEmit(address(market));
        emit EventsLib.RoundOpened(id, 2, _now());
        _merge(aggregator, newMerge);

        _assertPhase(Phase.Commit, 2);
        _assertMoney(newMerge.paid, rules.pot - newMerge.paid);
        assertEq(market.mergeOf(id, 1).vestsAt, _now() + 100, "vests");
        assertEq(bytes32(market.mergeOf(id, 1).recordHash), bytes32(record), "record");
        assertEq(market.mergeOf(id, 1).aggregator, aggregator, "who answers for it");
        assertEq(market.mergeOf(id, 1).reveals, 2, "reveals");
        assertEq(market.mergeOf(id, 1).paid, newMerge.paid, "paid");
        assertEq(bytes32(market.mergeOf(id, 1).payoutRoot), newMerge.payoutRoot >> 32 << 32, "payout root");
    }

    function test_merge__ofALaterRound__recordsThePreviousMergedRound() public {
        rules.rounds = 4;
        _open(2);
        _updates(2);
        _merge(aggregator, 0);
        _commit(0);
        _commit(1);
        vm.warp(_clock().endsAt); // round 2 lapses
        _forfeit(0);
        _forfeit(1);
        _updates(2);
        _merge(aggregator, 0);
        assertEq(market.mergeOf(id, 3).previous, 1, "previous");
        assertEq(bytes32(market.mergeOf(id, 3).recordHash), bytes32(recordHash), "record");
    }

    function test_merge__ofTheLastRound__ends() public {
        _playRounds(3, 0);
        _assertPhase(Phase.Ended, 3);
        assertEq(_clock().startedAt, _now(), "ended");
    }

    function testFuzz_merge__byAnyoneElseInTheExclusiveTime__isRefused(address caller) public {
        vm.assume(caller != aggregator && caller != address(0));
        _open(2);
        _bond(rival);
        _updates(2);
        _refused(abi.encodeWithSelector(ErrorsLib.NotAggregator.selector, aggregator));
        _merge(caller, 0);
        _refused(abi.encodeWithSelector(ErrorsLib.NotAggregator.selector, aggregator));
        _merge(rival, 0);
        _merge(aggregator, 0);
    }

    function test_merge__afterTheExclusiveTime__isOpenToAnyoneWithABond() public {
        _open(2);
        _updates(2);
        vm.warp(_clock().endsAt);
        _assertPhase(Phase.OpenMerge, 1);
        _refused(abi.encodeWithSelector(ErrorsLib.NotBonded.selector, rules.bond));
        _merge(rival, 0);
        _bond(rival);
        _merge(rival, 0);
        (, uint32 lockedUntil) = market.bondOf(id, rival);
        assertEq(lockedUntil, vestsAt, "bond locked");
        _refused(abi.encodeWithSelector(ErrorsLib.BondLocked.selector, vestsAt));
        _withdrawBond(rival);
        vm.warp(vestsAt);
        _withdrawBond(rival);
        assertEq(_balance(rival), FORTUNE, "rival");
    }

    function test_merge__outsideItsPhases__isRefused() public {
        _post();
        _bond(aggregator);
        MergeClaim memory newMerge = _claimOf(0, 0, "");
        _expectWrongPhase(Phase.Joining, 0, newMerge);
        _join(0);
        _join(1);
        _expectWrongPhase(Phase.Commit, 1, newMerge);
        _commit(0);
        _commit(1);
        _expectWrongPhase(Phase.Reveal, 1, newMerge);
        _reveal(0);
        _reveal(1);
        vm.warp(_clock().startedAt + 90);
        _expectWrongPhase(Phase.Ended, 1, newMerge);
    }

    function _expectWrongPhase(Phase phase, uint16 round, MergeClaim memory newMerge) private {
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, phase));
        _as(aggregator);
        market.merge(id, round, newMerge);
    }

    function test_merge__twice__isRefused() public {
        _open(2);
        _updates(2);
        _merge(aggregator, 0);
        MergeClaim memory newMerge = _claimOf(0, 0, "");
        _refused(abi.encodeWithSelector(ErrorsLib.WrongRound.selector, 2));
        _as(aggregator);
        market.merge(id, 1, newMerge);
    }

    /// @dev Accepted plus rejected is revealed: a bit beyond the reveals, or a bit without a reason, is refused.
    function testFuzz_merge__withAnyBitmap__isAcceptedOnlyIfEveryRejectionHasAReason(uint256 bitmap, uint8 count)
        public
    {
        rules.maxUpdates = 5;
        _open(5);
        _updates(5);
        bitmap = bound(bitmap, 0, 63);
        bytes memory reasons = _reasons(bound(count, 0, 24));
        uint256 rejections = 0;
        for (uint256 k = 0; k < 6; ++k) {
            rejections += bitmap >> k & 1;
        }
        if (bitmap >= 32) {
            _refused(abi.encodeWithSelector(ErrorsLib.RejectedOutOfRange.selector, 5));
        } else if (reasons.length != 4 * rejections) {
            _refused(abi.encodeWithSelector(ErrorsLib.ReasonsMismatch.selector, rejections, reasons.length));
        }
        _merge(aggregator, _claimOf(0, bitmap, reasons));
    }

    function testFuzz_merge__withPayoutLeavesForMoreThanEverJoined__isRefused(uint16 payoutLeaves) public {
        _open(3);
        _updates(3);
        MergeClaim memory newMerge = _claimOf(0, 0, "");
        newMerge.payoutLeaves = payoutLeaves;
        if (payoutLeaves == 0 || payoutLeaves > 3) {
            _refused(abi.encodeWithSelector(ErrorsLib.PayoutLeavesOutOfRange.selector, 3));
        }
        _merge(aggregator, newMerge);
    }

    function testFuzz_merge__thatPaysMoreThanTheShare__isRefused(uint96 excess) public {
        _open(2);
        _updates(2);
        uint96 share = _share(1);
        _refused(abi.encodeWithSelector(ErrorsLib.PaidOverShare.selector, share));
        _merge(aggregator, uint96(bound(excess, uint256(share) + 1, type(uint96).max)));
        _merge(aggregator, share);
    }

    function test_merge__thatAcceptsNothing__paysNothing() public {
        _open(2);
        _updates(2);
        _refused(abi.encodeWithSelector(ErrorsLib.PaidOverShare.selector, 0));
        _merge(aggregator, _claimOf(1, 3, _reasons(8)));
        _merge(aggregator, _claimOf(0, 3, _reasons(8)));
    }

    function _reasons(uint256 count) private pure returns (bytes memory reasons) {
        reasons = new bytes(count);
        for (uint256 k = 0; k < count; ++k) {
            reasons[k] = bytes1(uint8(k + 1));
        }
    }
}
