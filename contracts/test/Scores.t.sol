// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Phase, RewardRule} from "../src/Types.sol";
import {IContributionScores, ScorePhase, ScoreState, Tally} from "../src/interfaces/IContributionScores.sol";
import {ScoreTest} from "./support/ScoreTest.sol";

/// @notice Bonds, commitments and openings.
contract ReportTest is ScoreTest {
    function test_depositBond__byAnEvaluator__locksIt() public {
        _post();
        _appoint();
        _fundEvaluator(0);
        vm.expectEmit(address(scores));
        emit IContributionScores.EvaluatorBonded(id, _evaluator(0), panel.bond);
        _deposit(0);
        assertEq(_standingOf(0).bond, panel.bond, "bond");
        assertEq(_balance(address(scores)), panel.bond, "scores");
        assertEq(_balance(_evaluator(0)), FORTUNE - panel.bond, "evaluator");
        _refused(abi.encodeWithSelector(IContributionScores.AlreadyBonded.selector, panel.bond));
        _deposit(0);
    }

    function test_depositBond__byAStranger__isRefused() public {
        _post();
        _appoint();
        _refused(IContributionScores.NotEvaluator.selector);
        _deposit(3);
    }

    function test_withdrawBond__withNothingOpen__returnsIt() public {
        _appointed();
        vm.expectEmit(address(scores));
        emit IContributionScores.EvaluatorBondWithdrawn(id, _evaluator(0), panel.bond);
        _withdrawScoreBond(0);
        assertEq(_balance(_evaluator(0)), FORTUNE, "evaluator");
        _refused(IContributionScores.NothingToClaim.selector);
        _withdrawScoreBond(0);
    }

    function test_withdrawBond__withACommitmentOpen__waitsForTheSettlement() public {
        _vested(2);
        _commitScores(0, 1, _report(1, 2));
        _refused(abi.encodeWithSelector(IContributionScores.CommitmentsOpen.selector, uint16(1)));
        _withdrawScoreBond(0);
        _warpScores(1, ScorePhase.Due);
        _settleScores(1);
        _withdrawScoreBond(0);
        assertEq(_balance(_evaluator(0)), FORTUNE - panel.forfeit, "less what was forfeited");
    }

    function test_clock__asTimeGoesBy__hasHalfOpenWindows() public {
        assertEq(uint256(scores.clock(id, 1).phase), uint256(ScorePhase.None), "no bounty");
        _mergedByPanel(2, 0, "");
        _assertScorePhase(2, ScorePhase.None);
        _assertScorePhase(1, ScorePhase.Waiting);
        vm.warp(vestsAt - 1);
        _refusedInScoring(ScorePhase.Waiting);
        _commitScores(0, 1, _report(1, 2));
        vm.warp(vestsAt);
        _commitScores(0, 1, _report(1, 2));
        vm.warp(vestsAt + panel.commitSeconds - 1);
        _refusedInScoring(ScorePhase.Commit);
        _revealScores(0, 1, _report(1, 2));
        _commitScores(1, 1, _report(1, 2));
        vm.warp(vestsAt + panel.commitSeconds);
        _refusedInScoring(ScorePhase.Reveal);
        _commitScores(2, 1, _report(1, 2));
        vm.warp(vestsAt + panel.commitSeconds + panel.revealSeconds - 1);
        _refusedInScoring(ScorePhase.Reveal);
        _settleScores(1, new uint256[][](0));
        _revealScores(0, 1, _report(1, 2));
        vm.warp(vestsAt + panel.commitSeconds + panel.revealSeconds);
        _refusedInScoring(ScorePhase.Due);
        _revealScores(1, 1, _report(1, 2));
        _settleScores(1);
        _refusedInScoring(ScorePhase.Settled);
        _settleScores(1);
    }

    function test_clock__whenAllEvaluatorsActed__goesOnAtOnce() public {
        _vested(2);
        for (uint256 k = 0; k < 3; ++k) {
            _assertScorePhase(1, ScorePhase.Commit);
            _commitScores(k, 1, _report(1, 2));
        }
        for (uint256 k = 0; k < 3; ++k) {
            _assertScorePhase(1, ScorePhase.Reveal);
            _revealScores(k, 1, _report(1, 2));
        }
        _assertScorePhase(1, ScorePhase.Due);
        assertEq(uint256(_now()), vestsAt, "no time went by");
    }

    function test_clock__whenNobodyCommitted__needsNoReveals() public {
        _vested(2);
        vm.warp(vestsAt + panel.commitSeconds);
        _assertScorePhase(1, ScorePhase.Due);
    }

    function test_clock__underAnotherRewardRule__saysNone() public {
        rules.rewardRule = RewardRule.Equal;
        _open(2);
        _mergeRound(2, 0, "");
        vm.warp(vestsAt);
        _assertScorePhase(1, ScorePhase.None);
        _refused(IContributionScores.OtherRewardRule.selector);
        _settleScores(1, new uint256[][](0));
    }

    function test_commit__byAnEvaluator__isKept() public {
        _vested(2);
        bytes32 commitment = _scoreCommitment(_evaluator(0), 1, _report(1, 2));
        vm.expectEmit(address(scores));
        emit IContributionScores.ScoresCommitted(id, 1, _evaluator(0), bytes31(commitment));
        _commitScores(0, 1, _report(1, 2));
        (ScoreState state, bytes31 content) = scores.reportOf(id, 1, _evaluator(0));
        assertEq(uint256(state), uint256(ScoreState.Committed), "state");
        assertEq(bytes32(content), bytes32(bytes31(commitment)), "commitment");
        assertEq(_standingOf(0).open, 1, "open");
        _refused(IContributionScores.ScoresAlreadyCommitted.selector);
        _commitScores(0, 1, _report(2, 1));
    }

    function testFuzz_commit__byAStranger__isRefused(address caller) public {
        vm.assume(caller != _evaluator(0) && caller != _evaluator(1) && caller != _evaluator(2));
        _vested(2);
        vm.expectRevert(abi.encodeWithSelector(IContributionScores.NotEvaluator.selector));
        vm.prank(caller);
        scores.commit(id, 1, "commitment");
    }

    function test_commit__beyondWhatTheBondCovers__isRefused() public {
        (panel.bond, panel.forfeit) = (29e18, 15e18);
        _vested(2);
        _commitScores(0, 1, _report(1, 2));
        _mergeRound(2, 0, "");
        vm.warp(vestsAt);
        _refused(abi.encodeWithSelector(IContributionScores.BondTooSmall.selector, uint256(30e18)));
        _commitScores(0, 2, _report(1, 2));
        _commitScores(1, 2, _report(1, 2));
    }

    function test_commit__withoutABond__isRefused() public {
        _vested(2);
        _withdrawScoreBond(0);
        _refused(abi.encodeWithSelector(IContributionScores.BondTooSmall.selector, uint256(panel.forfeit)));
        _commitScores(0, 1, _report(1, 2));
        _deposit(0);
        _commitScores(0, 1, _report(1, 2));
    }

    function test_depositBond__afterAForfeit__asksForWhatIsMissing() public {
        _vested(2);
        _commitScores(0, 1, _report(1, 2));
        _warpScores(1, ScorePhase.Due);
        _settleScores(1);
        vm.expectEmit(address(scores));
        emit IContributionScores.EvaluatorBonded(id, _evaluator(0), panel.forfeit);
        _deposit(0);
        assertEq(_standingOf(0).bond, panel.bond, "whole again");
    }

    function test_reveal__ofWhatWasCommitted__isShown() public {
        _vested(2);
        _commitScores(0, 1, _report(7, 9));
        _warpScores(1, ScorePhase.Reveal);
        vm.expectEmit(address(scores));
        emit IContributionScores.ScoresRevealed(id, 1, _evaluator(0), _report(7, 9), _scoreSalt(_evaluator(0)));
        _revealScores(0, 1, _report(7, 9));
        (ScoreState state, bytes31 content) = scores.reportOf(id, 1, _evaluator(0));
        assertEq(uint256(state), uint256(ScoreState.Revealed), "state");
        assertEq(bytes32(content), bytes32(bytes31(keccak256(abi.encodePacked(_report(7, 9))))), "report");
        assertEq(scores.clock(id, 1).reveals, 1, "reveals");
    }

    function test_reveal__ofAnotherReport__isRefused() public {
        _vested(2);
        _commitScores(0, 1, _report(7, 9));
        _warpScores(1, ScorePhase.Reveal);
        bytes31 commitment = bytes31(_scoreCommitment(_evaluator(0), 1, _report(7, 9)));
        _refused(abi.encodeWithSelector(IContributionScores.WrongOpening.selector, commitment));
        _revealScores(0, 1, _report(9, 7));
        _refused(abi.encodeWithSelector(IContributionScores.WrongOpening.selector, bytes31(0)));
        _revealScores(1, 1, _report(7, 9));
        _revealScores(0, 1, _report(7, 9));
        _assertScorePhase(1, ScorePhase.Due);
    }

    function test_reveal__ofAnothersCommitment__isRefused() public {
        _vested(2);
        bytes32 copied = _scoreCommitment(_evaluator(0), 1, _report(7, 9));
        _commitScores(0, 1, _report(7, 9));
        _as(_evaluator(1));
        scores.commit(id, 1, copied);
        _warpScores(1, ScorePhase.Reveal);
        bytes32 salt = _scoreSalt(_evaluator(0));
        _refused(abi.encodeWithSelector(IContributionScores.WrongOpening.selector, bytes31(copied)));
        _as(_evaluator(1));
        scores.reveal(id, 1, _report(7, 9), salt);
    }

    function test_reveal__ofAMalformedReport__isRefused() public {
        _vested(2);
        uint256[] memory longer = _report(1, 2, 3);
        uint256[] memory heavy = _report(type(uint32).max, 1);
        _commitScores(0, 1, longer);
        _commitScores(1, 1, heavy);
        _commitScores(2, 1, _report(type(uint32).max, 0));
        _refused(abi.encodeWithSelector(IContributionScores.WrongReportLength.selector, uint256(1)));
        _revealScores(0, 1, longer); // a third part
        _refused(abi.encodeWithSelector(IContributionScores.ReportOverWhole.selector, WHOLE));
        _revealScores(1, 1, heavy);
        _revealScores(2, 1, _report(type(uint32).max, 0));
    }

    function test_reveal__ofAnotherNumberOfWords__isRefused() public {
        _vested(2);
        _commitScores(0, 1, new uint256[](0));
        _commitScores(1, 1, new uint256[](2));
        _commitScores(2, 1, new uint256[](1));
        for (uint256 k = 0; k < 2; ++k) {
            _refused(abi.encodeWithSelector(IContributionScores.WrongReportLength.selector, uint256(1)));
            _revealScores(k, 1, new uint256[](2 * k));
        }
        _revealScores(2, 1, new uint256[](1));
    }

    function test_reveal__twice__isRefused() public {
        _vested(2);
        _commitScores(0, 1, _report(1, 2));
        _commitScores(1, 1, _report(1, 2));
        _warpScores(1, ScorePhase.Reveal);
        _revealScores(0, 1, _report(1, 2));
        _refused(abi.encodeWithSelector(IContributionScores.WrongOpening.selector, bytes31(0)));
        _revealScores(0, 1, _report(1, 2));
    }

    function test_tally__beforeAnythingHappens__isEmpty() public {
        _vested(2);
        assertEq(
            keccak256(abi.encode(scores.tallyOf(id, 1))), keccak256(abi.encode(Tally(0, 0, 0, 0, 0, false))), "tally"
        );
        _assertPhase(Phase.Commit, 2);
    }
}
