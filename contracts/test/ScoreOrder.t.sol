// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRecord} from "../src/Types.sol";
import {IContributionScores, ScorePhase} from "../src/interfaces/IContributionScores.sol";
import {ScoreTest} from "./support/ScoreTest.sol";

/// @notice Rounds settled in any order, and merges that replace voided ones.
contract ScoreOrderTest is ScoreTest {
    function test_settle__ofTheLaterRoundFirst__paysBothWhole() public {
        panel.forfeit = panel.bond / 2; // covers two commitments
        _mergedByPanel(2, 0, "");
        MergeRecord memory first = record;
        _mergeRound(2, 0, "");
        vm.warp(vestsAt);
        _commitScores(0, 1, _report(1, 0));
        _commitScores(0, 2, _report(1, 0));
        _warpScores(2, ScorePhase.Due);
        _settleScores(2);
        _returnRestOf(_share(2) + panel.forfeit);
        _claimScore(0, 2);
        _refused(abi.encodeWithSelector(IContributionScores.CommitmentsOpen.selector, 1));
        _withdrawScoreBond(0);

        record = first;
        _settleScores(1);
        _returnRestOf(_share(1) + panel.forfeit);
        _claimScore(0, 1);
        _claimScore(1, 1);
        _claimScore(1, 2);
        uint256 earned = (_share(1) + panel.forfeit) / 2 + (_share(2) + panel.forfeit) / 2;
        assertEq(_balance(_provider(1)), FORTUNE - rules.stake + earned, "halves of both");
        assertEq(_standingOf(0).bond, 0, "both forfeits");
        _withdrawScoreBond(1);
        _withdrawScoreBond(2);
        assertEq(_balance(address(scores)), 0, "scores");
    }

    /// @dev One wei, if the pot is odd.
    function _returnRestOf(uint256 pot) private {
        uint256 before = _balance(owner);
        assertEq(scores.restOf(id), pot % 2, "rest");
        if (pot % 2 != 0) _returnRest();
        assertEq(_balance(owner), before + pot % 2, "owner");
    }

    function test_settle__ofAMergeThatReplacesAVoidedOne__followsItsRecordAlone() public {
        _mergedByPanel(3, 0, "");
        MergeRecord memory voided = record;
        vm.prank(market.proofs());
        market.voidMerge(id, 1, rival);
        _bond(rival);
        skip(1);
        (record.mergedAt, record.rejected, record.reasonsHash) = (_now(), 2, keccak256(hex"04000000"));
        MergeRecord memory replacing = record;
        _merge(rival, _claimOf(_share(1), 2, hex"04000000"));
        _refusedInScoring(ScorePhase.Waiting);
        _commitScores(0, 1, _report(4, 4, 4));
        vm.warp(vestsAt);
        uint256[][] memory reports = new uint256[][](3);
        for (uint256 k = 0; k < 3; ++k) {
            reports[k] = _report(4, 4, 4);
        }
        _scored(reports);

        record = voided;
        _refused(IContributionScores.WrongRecord.selector);
        _settleScores(1);
        record = replacing;
        _settleScores(1);
        uint256 pot = scores.tallyOf(id, 1).pot;
        _refused(IContributionScores.NothingToClaim.selector);
        _claimScore(1, 1);
        _claimScore(2, 1);
        assertEq(_balance(_provider(2)), FORTUNE - rules.stake + pot / 2, "half");
    }
}
