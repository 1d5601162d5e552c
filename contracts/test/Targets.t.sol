// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, Phase} from "../src/Types.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice Bounties that end when a merge reaches the target, and what becomes of them when that merge is voided.
contract TargetsTest is MarketTest {
    uint32 private constant TARGET = 900_000;
    address private constant PROVER = address(0xFACE);

    function setUp() public override {
        super.setUp();
        (rules.target, rules.rounds) = (TARGET, 4);
    }

    /// @dev Everyone commits and reveals, and the aggregator merges.
    function _play(uint32 metric) private {
        _updates(2);
        _merge(aggregator, _measured(metric));
    }

    function _measured(uint32 metric) private view returns (MergeClaim memory made) {
        made = _claimOf(_share(_round()), 0, "");
        made.metric = metric;
    }

    function _void(uint16 round) private {
        _as(market.proofs());
        market.voidMerge(id, round, PROVER);
    }

    function _mergeAgain(uint32 metric) private {
        _bond(rival);
        skip(1);
        _merge(rival, _measured(metric));
    }

    // --- reaching it ---

    function testFuzz_merge__withAMetric__endsTheBountyWhereItReachesTheTarget(uint32 metric, uint32 target) public {
        rules.target = target;
        _open(2);
        _play(metric);
        bool isReached = target != 0 && metric >= target;
        _assertPhase(isReached ? Phase.Ended : Phase.Commit, isReached ? 1 : 2);
    }

    function test_merge__atTheTarget__saysSoAndOpensNoRound() public {
        _open(2);
        _updates(2);
        MergeClaim memory made = _measured(TARGET);
        vm.expectEmit(address(market));
        emit EventsLib.Merged(id, 1, aggregator, made, 2, 0, _now(), _now() + 100, _recordHash(made));
        vm.expectEmit(address(market));
        emit EventsLib.Ended(id, _now());
        _merge(aggregator, made);
        assertEq(bytes32(market.mergeOf(id, 1).recordHash), bytes32(recordHash), "the record binds the metric");
        assertEq(_clock().startedAt, _now(), "ended");
        vm.warp(_now() + 10_000);
        _assertPhase(Phase.Ended, 1);
    }

    function test_refund__whenTheTargetWasReached__givesTheOwnerTheRoundsThatNeverOpened() public {
        _open(2);
        uint96 each = _share(1) / 2;
        _setEqualPayouts(2, each);
        _updates(2);
        MergeClaim memory made = _claimOf(2 * each, 0, "");
        made.metric = TARGET;
        _merge(aggregator, made);
        vm.warp(vestsAt);
        uint256 balance = _balance(owner);
        _refund();
        assertEq(_balance(owner) - balance, rules.pot - 2 * each, "all but the one round's pay");
        for (uint256 k = 0; k < 2; ++k) {
            _claim(k, 1, each);
            _withdraw(k);
        }
        _withdrawBond(aggregator);
        assertEq(_balance(address(market)), 0, "nothing is left");
    }

    // --- voided ---

    function testFuzz_voidMerge__ofOneThatReachedTheTargetOrBeforeIt__goesOnWhereItWouldHave(
        bool first,
        uint8 reachedAgain
    ) public {
        _open(2);
        _play(0);
        _play(TARGET);
        _assertPhase(Phase.Ended, 2);
        uint16 round = first ? 1 : 2;
        _void(round);
        _assertPhase(Phase.OpenMerge, round);
        for (uint256 k = 0; k < reachedAgain % 3; ++k) {
            _mergeAgain(TARGET);
            _assertPhase(Phase.Ended, 2);
            _void(round);
            _assertPhase(Phase.OpenMerge, round);
        }
        _mergeAgain(TARGET - 1);
        _assertPhase(Phase.Commit, 3);
        _bond(aggregator);
        _play(0);
        _assertPhase(Phase.Commit, 4);
        _play(0);
        _assertPhase(Phase.Ended, 4);
    }

    function test_voidMerge__ofARepeatedLastMergeAtTheTarget__opensNoRound() public {
        rules.rounds = 2;
        _open(2);
        _play(0);
        _play(0);
        _void(1);
        _mergeAgain(TARGET);
        _void(1);
        _mergeAgain(0);
        _assertPhase(Phase.Ended, 2);
    }

    function test_voidMerge__ofAnEarlierMergeAfterARepetitionThatNeverCame__opensNoRound() public {
        rules.challengeSeconds = 1_000;
        _open(2);
        _play(0);
        _play(TARGET);
        _void(2);
        vm.warp(_clock().endsAt); // nobody merges round 2 again
        _assertPhase(Phase.Ended, 2);
        _void(1);
        _mergeAgain(0);
        _assertPhase(Phase.Ended, 4);
    }

    function test_voidMerge__whenABountyExpired__stillOpensNoRound() public {
        rules.challengeSeconds = 1_000;
        _open(2);
        _play(0);
        vm.warp(_clock().endsAt); // nobody commits to round 2
        _assertPhase(Phase.Ended, 2);
        _void(1);
        _mergeAgain(0);
        _assertPhase(Phase.Ended, 4);
    }

    function test_withdraw__whenTheTargetWasReached__waitsUntilTheMergeHasVested() public {
        _open(2);
        _play(TARGET);
        vm.warp(vestsAt - 1);
        vm.expectRevert();
        this.withdrawFirst();
        vm.warp(vestsAt);
        _withdraw(0);
        _withdrawBond(aggregator);
    }

    /// @dev A door, so that any refusal can be expected.
    function withdrawFirst() external {
        vm.prank(_provider(0));
        market.withdrawStake(id);
    }
}
