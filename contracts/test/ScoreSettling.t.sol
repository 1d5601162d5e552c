// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Phase} from "../src/Types.sol";
import {IContributionScores, ScorePhase} from "../src/interfaces/IContributionScores.sol";
import {ScoreTest} from "./support/ScoreTest.sol";

/// @notice Settling a round: medians, fallbacks, fees and forfeits, to the unit.
contract SettleTest is ScoreTest {
    uint256[][] private _reports;

    function _reported(uint256[] memory first, uint256[] memory second, uint256[] memory third) private {
        _reports.push(first);
        _reports.push(second);
        _reports.push(third);
        _scored(_reports);
    }

    function test_settle__withAQuorum__dividesByTheMedians() public {
        _vested(2);
        _reported(_report(3_000_000_000, 1_000_000_000), _report(3_010_000_000, 990_000_000), _report(0, 4_000_000_000));
        uint96 share = _share(1);
        uint256 fee = uint256(share) * 300 / 10_000 / 3;
        uint256 pot = share - 2 * fee; // the third is too far away
        uint256 first = pot * 3_000_000_000 / 4_000_000_000;
        uint256 second = pot * 1_000_000_000 / 4_000_000_000;
        uint256 before = _balance(address(market));
        _expectSettled(0, fee, 0);
        _expectSettled(1, fee, 0);
        _expectSettled(2, 0, 0);
        vm.expectEmit(address(scores));
        emit IContributionScores.RoundScored(
            id, 1, true, share, uint128(pot), uint128(pot - first - second), _report(3_000_000_000, 1_000_000_000)
        );
        _settleScores(1);
        assertEq(_balance(address(market)), before - share, "market");
        assertEq(_balance(address(scores)), share + 3 * uint256(panel.bond), "scores");
        assertEq(_weight(1, 0), 3_000_000_000, "first weight");
        assertEq(_weight(1, 1), 1_000_000_000, "second weight");
        assertEq(scores.tallyOf(id, 1).pot, pot, "pot");
        assertEq(scores.tallyOf(id, 1).total, 4_000_000_000, "total");
        assertEq(scores.restOf(id), pot - first - second, "rest");
        assertEq(_standingOf(0).earned, fee, "fee");
        assertEq(_standingOf(2).open, 0, "open");
        _claimScore(0, 1);
        _claimScore(1, 1);
        assertEq(_balance(_provider(0)), FORTUNE - rules.stake + first, "first");
        assertEq(_balance(_provider(1)), FORTUNE - rules.stake + second, "second");
    }

    function _expectSettled(uint256 k, uint256 fee, uint256 forfeited) private {
        vm.expectEmit(address(scores));
        emit IContributionScores.EvaluatorSettled(id, 1, _evaluator(k), uint96(fee), uint96(forfeited));
    }

    function test_settle__ofAnEvenNumberOfReports__takesTheLowerMedian() public {
        _usualPanel(4);
        _vested(2);
        _reports.push(_report(9, 1));
        _reported(_report(1, 2), _report(5, 9), _report(3, 4));
        _settleScores(1);
        assertEq(_weight(1, 0), 3, "of 1 3 5 9");
        assertEq(_weight(1, 1), 2, "of 1 2 4 9");
    }

    function test_settle__withoutAQuorum__dividesEquallyAndPaysNoFee() public {
        _vested(2);
        _commitScores(0, 1, _report(9, 1));
        _commitScores(1, 1, _report(9, 1));
        _warpScores(1, ScorePhase.Reveal);
        _revealScores(0, 1, _report(9, 1));
        _warpScores(1, ScorePhase.Due);
        uint256 pot = _share(1) + uint256(panel.forfeit);
        _expectSettled(0, 0, 0);
        _expectSettled(1, 0, panel.forfeit);
        vm.expectEmit(address(scores));
        emit IContributionScores.RoundScored(id, 1, false, _share(1), uint128(pot), uint128(pot % 2), _report(1, 1));
        _settleScores(1);
        _claimScore(0, 1);
        assertEq(_balance(_provider(0)), FORTUNE - rules.stake + pot / 2, "half");
        assertEq(_standingOf(1).bond, panel.bond - panel.forfeit, "bond");
        _refused(IContributionScores.NothingToClaim.selector);
        _collect(0);
    }

    function test_settle__withoutAPanel__dividesEqually() public {
        delete panel.evaluators;
        _open(2);
        _mergeRound(2, 0, "");
        _refusedInScoring(ScorePhase.Waiting);
        _settleScores(1, new uint256[][](0));
        vm.warp(vestsAt);
        _settleScores(1, new uint256[][](0));
        _claimScore(1, 1);
        assertEq(_balance(_provider(1)), FORTUNE - rules.stake + _share(1) / 2, "half");
    }

    function test_settle__ofALapsedOrFutureRound__isRefused() public {
        _appointed();
        _join(0);
        _join(1);
        _bond(aggregator);
        _commit(0);
        _commit(1);
        _warpTo(Phase.Reveal);
        vm.warp(_clock().endsAt);
        _settle();
        _refusedInScoring(ScorePhase.None);
        _settleScores(1, new uint256[][](0));
        _refusedInScoring(ScorePhase.None);
        _settleScores(2, new uint256[][](0));
    }

    function test_settle__withARejectedUpdate__leavesItOut() public {
        _mergedByPanel(3, 2, hex"04000000");
        vm.warp(vestsAt);
        _reported(_report(6, 50, 2), _report(6, 50, 2), _report(6, 0, 2));
        _settleScores(1);
        assertEq(_weight(1, 1), 0, "whatever evaluators say of it");
        _refused(IContributionScores.NothingToClaim.selector);
        _claimScore(1, 1);
        _claimScore(0, 1);
        assertEq(_standingOf(0).earned, _standingOf(2).earned, "within the tolerance");
    }

    function test_settle__withARejectedUpdateAndNoQuorum__leavesItOut() public {
        _mergedByPanel(3, 2, hex"04000000");
        vm.warp(vestsAt);
        _warpScores(1, ScorePhase.Due);
        _settleScores(1);
        assertEq(_weight(1, 0) + _weight(1, 2), 2, "the others");
        assertEq(_weight(1, 1), 0, "the rejected one");
    }

    function test_settle__ofAMergeThatAcceptedNothing__paysNobody() public {
        _mergedByPanel(2, 3, hex"0400000004000000");
        vm.warp(vestsAt);
        _commitScores(0, 1, _report(1, 1));
        _warpScores(1, ScorePhase.Due);
        _settleScores(1);
        assertEq(scores.restOf(id), panel.forfeit, "the forfeit is the owner's");
        _refused(IContributionScores.NothingToClaim.selector);
        _claimScore(0, 1);
    }

    function test_settle__whenNothingContributed__leavesAllToTheOwner() public {
        _vested(2);
        _reported(_report(0, 0), _report(0, 0), _report(WHOLE_LESS_ONE, 0));
        _settleScores(1);
        uint256 rest = _share(1) - 2 * _standingOf(0).earned;
        assertEq(scores.restOf(id), rest, "rest");
        _refused(IContributionScores.NothingToClaim.selector);
        _claimScore(0, 1);
        uint256 before = _balance(owner);
        vm.expectEmit(address(scores));
        emit IContributionScores.RestReturned(id, owner, uint128(rest));
        _returnRest();
        assertEq(_balance(owner), before + rest, "owner");
        _refused(IContributionScores.NothingToClaim.selector);
        _returnRest();
    }

    uint32 private constant WHOLE_LESS_ONE = type(uint32).max;

    function test_settle__atTheEdgeOfTheTolerance__paysTheFeeThere() public {
        panel.tolerance = 1; // 429,496 units
        _vested(2);
        _reported(_report(1_000_000, 0), _report(1_000_000, 429_496), _report(1_000_000 + 429_496, 1));
        _settleScores(1);
        assertEq(_weight(1, 1), 1, "median");
        assertTrue(_standingOf(0).earned != 0, "1 away");
        assertTrue(_standingOf(1).earned != 0, "429,495 away");
        assertTrue(_standingOf(2).earned != 0, "429,496 away");
    }

    function test_settle__beyondTheTolerance__paysNoFee() public {
        panel.tolerance = 1;
        _vested(2);
        _reported(_report(1_000_000, 1), _report(1_000_000, 1), _report(1_000_000 + 429_496, 2));
        _settleScores(1);
        assertTrue(_standingOf(0).earned != 0, "on the median");
        assertEq(_standingOf(2).earned, 0, "429,497 away");
    }

    function test_settle__withAWildLiar__movesNoWeightBeyondTheOthers() public {
        _vested(2);
        _reported(_report(600, 400), _report(601, 399), _report(WHOLE_LESS_ONE, 0));
        _settleScores(1);
        assertEq(_weight(1, 0), 601, "first");
        assertEq(_weight(1, 1), 399, "second");
    }

    function test_settle__withAWrongRecordOrReport__isRefused() public {
        _vested(2);
        _reported(_report(1, 2), _report(3, 4), _report(5, 6));
        record.rejected = 1;
        _refused(IContributionScores.WrongRecord.selector);
        _settleScores(1);
        record.rejected = 0;
        _refused(abi.encodeWithSelector(IContributionScores.WrongReports.selector, uint256(3)));
        _settleScores(1, new uint256[][](2));
        opened[1] = _report(4, 3);
        _refused(abi.encodeWithSelector(IContributionScores.WrongReport.selector, _evaluator(1)));
        _settleScores(1);
        opened[1] = _report(3, 4);
        _settleScores(1);
    }

    function test_settle__withAReportOfWhomNothingIsOpen__isRefused() public {
        _vested(2);
        _commitScores(0, 1, _report(1, 2));
        _commitScores(2, 1, _report(1, 2));
        _warpScores(1, ScorePhase.Reveal);
        _revealScores(0, 1, _report(1, 2));
        _revealScores(2, 1, _report(1, 2));
        opened[1] = _report(1, 2);
        _refused(abi.encodeWithSelector(IContributionScores.WrongReport.selector, _evaluator(1)));
        _settleScores(1);
        delete opened[1];
        _settleScores(1);
        assertEq(_weight(1, 1), 2, "the two others'");
    }

    function test_settle__afterAVoidedMerge__hasNothingToDivide() public {
        _mergedByPanel(2, 0, "");
        vm.prank(market.proofs());
        market.voidMerge(id, 1, rival);
        vm.warp(vestsAt);
        _refusedInScoring(ScorePhase.None);
        _settleScores(1, new uint256[][](0));
    }

    function test_settle__whereAWrongTreeTookTheMoney__dividesWhatIsLeft() public {
        _appointed();
        _join(0);
        _join(1);
        _bond(aggregator);
        uint96[] memory cumulative = new uint96[](2);
        cumulative[0] = 100;
        _setPayouts(cumulative);
        _mergeRound(2, 0, "");
        vm.warp(vestsAt);
        _claim(0, 1, 100);
        _warpScores(1, ScorePhase.Due);
        _settleScores(1);
        assertEq(scores.tallyOf(id, 1).pot, _share(1) - 100, "pot");
    }
}
