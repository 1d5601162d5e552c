// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IContributionScores} from "../src/interfaces/IContributionScores.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {ScoredTest} from "./support/ScoredTest.sol";

/// @notice Taking what is owed.
contract ScoreClaimTest is ScoredTest {
    function setUp() public override {
        super.setUp();
        _ready();
    }

    function test_claim__beforeTheSettlement__isRefused() public {
        _refused(IContributionScores.NotSettled.selector);
        _claimScore(0, 1);
    }

    function test_claim__once__paysAndThenNoMore() public {
        _settleScores(1);
        uint256 pot = scores.tallyOf(id, 1).pot;
        uint256 before = _balance(_provider(0));
        bytes32 updateRoot = _updateRoot(0, 1);
        vm.expectEmit(address(scores));
        emit IContributionScores.ScoreClaimed(id, 1, _provider(0), updateRoot, uint128(pot * 3 / 4));
        _claimScore(0, 1);
        assertEq(_balance(_provider(0)), before + pot * 3 / 4, "provider");
        _refused(IContributionScores.AlreadyClaimed.selector);
        _claimScore(0, 1);
        (, bool claimed) = scores.weightOf(id, 1, 0);
        assertTrue(claimed, "marked");
        (, claimed) = scores.weightOf(id, 1, 1);
        assertTrue(!claimed, "the other is not");
    }

    function testFuzz_claim__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != _provider(0));
        _settleScores(1);
        bytes32 updateRoot = _updateRoot(0, 1);
        vm.expectRevert(abi.encodeWithSelector(IContributionScores.NotProvider.selector, _provider(0)));
        vm.prank(caller);
        scores.claim(id, 1, updateRoot);
    }

    function test_collectFees__ofAllRounds__paysAtOnce() public {
        _settleScores(1);
        uint256 fee = uint256(_share(1)) * 300 / 10_000 / 3;
        uint256 before = _balance(_evaluator(0));
        vm.expectEmit(address(scores));
        emit IContributionScores.FeesCollected(id, _evaluator(0), uint96(fee));
        _collect(0);
        assertEq(_balance(_evaluator(0)), before + fee, "evaluator");
        _refused(IContributionScores.NothingToClaim.selector);
        _collect(0);
    }

    function test_everyone__whenAllIsTaken__leavesNothingBehind() public {
        _settleScores(1);
        _claimScore(0, 1);
        _claimScore(1, 1);
        for (uint256 k = 0; k < 3; ++k) {
            _collect(k);
            _withdrawScoreBond(k);
        }
        if (scores.restOf(id) != 0) _returnRest();
        assertEq(_balance(address(scores)), 0, "scores");
    }

    function testFuzz_release__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != address(scores));
        vm.expectRevert(abi.encodeWithSelector(ErrorsLib.NotScores.selector));
        vm.prank(caller);
        market.release(id, 1);
    }
}
