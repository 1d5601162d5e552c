// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RewardRule} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice Rounds that are paid by contribution: their share leaves as a whole, once, and only what has vested.
contract ReleasingTest is MarketTest {
    function setUp() public override {
        super.setUp();
        rules.rewardRule = RewardRule.Contribution;
    }

    /// @dev Round 1 merged: nobody's leaf grows, the whole share is the providers'.
    function _merged() private {
        _open(2);
        _updates(2);
        _setEqualPayouts(2, 0);
        _merge(aggregator, _share(1));
    }

    function _release(uint16 round) private returns (uint96) {
        _as(market.scores());
        return market.release(id, round);
    }

    function test_release__ofAVestedRound__movesItsShareToTheScores() public {
        _merged();
        vm.warp(vestsAt);
        (uint96 owed, uint128 free) = market.money(id);
        vm.expectEmit(address(market));
        emit EventsLib.ShareReleased(id, 1, _share(1));
        assertEq(_release(1), _share(1), "amount");
        assertEq(_balance(market.scores()), _share(1), "scores");
        _assertMoney(owed - _share(1), free);
        assertEq(market.mergeOf(id, 1).paid, _share(1), "the merge is what it was");
    }

    function test_release__twice__isRefused() public {
        _merged();
        vm.warp(vestsAt);
        _release(1);
        _refused(ErrorsLib.AlreadyReleased.selector);
        _release(1);
    }

    function test_release__beforeItHasVested__isRefused() public {
        _merged();
        vm.warp(vestsAt - 1);
        _refused(abi.encodeWithSelector(ErrorsLib.NotVested.selector, vestsAt));
        _release(1);
        vm.warp(vestsAt);
        _release(1);
    }

    function test_release__ofARoundWithoutAMerge__isRefused() public {
        _merged();
        vm.warp(vestsAt);
        _refused(abi.encodeWithSelector(ErrorsLib.NotVested.selector, 0));
        _release(2);
        _refused(abi.encodeWithSelector(ErrorsLib.NotVested.selector, 0));
        _release(0);
    }

    function test_release__ofAVoidedMerge__isRefused() public {
        _merged();
        _as(market.demands());
        market.voidMerge(id, 1, owner);
        vm.warp(vestsAt);
        _refused(abi.encodeWithSelector(ErrorsLib.NotVested.selector, 0));
        _release(1);
    }

    function testFuzz_release__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != market.scores() && caller != address(0));
        _merged();
        vm.warp(vestsAt);
        _refused(ErrorsLib.NotScores.selector);
        _as(caller);
        market.release(id, 1);
        _release(1);
    }

    function testFuzz_release__underAnotherRule__isRefused(bool byStake) public {
        rules.rewardRule = byStake ? RewardRule.Stake : RewardRule.Equal;
        _merged();
        vm.warp(vestsAt);
        _refused(ErrorsLib.NotByContribution.selector);
        _release(1);
    }

    function test_release__ofAMergeThatAcceptedNothing__movesNothing() public {
        _open(2);
        _updates(2);
        _setEqualPayouts(2, 0);
        _merge(aggregator, _claimOf(0, 3, new bytes(8)));
        vm.warp(vestsAt);
        assertEq(_release(1), 0, "amount");
        _assertMoney(0, rules.pot);
    }

    /// @dev A false payout tree that nobody challenged has taken a part: the rest is there, and no other bounty pays.
    function test_release__whenAFalseLeafHasTakenAPart__movesWhatIsLeft() public {
        _open(2);
        _updates(2);
        _setEqualPayouts(2, 5e18);
        _merge(aggregator, _share(1));
        vm.warp(vestsAt);
        _claim(0, 1, 5e18);
        uint256 other = rules.pot;
        _as(owner);
        market.post(rules);
        assertEq(_release(1), _share(1) - 5e18, "amount");
        _refused(abi.encodeWithSelector(ErrorsLib.NotOwed.selector, 0));
        _claim(1, 1, 5e18);
        assertLe(other, _balance(address(market)), "the other bounty's pot");
    }

    function test_everyoneGone__afterRoundsByContribution__leavesNothing() public {
        _open(2);
        for (uint16 round = 1; round <= 3; ++round) {
            _updates(2);
            _setEqualPayouts(2, 0);
            _merge(aggregator, _share(round));
        }
        vm.warp(vestsAt);
        for (uint16 round = 1; round <= 3; ++round) {
            _release(round);
        }
        _withdraw(0);
        _withdraw(1);
        _withdrawBond(aggregator);
        assertEq(_balance(market.scores()), rules.pot, "the whole pot");
        assertEq(_balance(address(market)), 0, "market");
    }
}
