// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Phase} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {PaidTest} from "./support/PaidTest.sol";

/// @notice Taking what merges and lapsed rounds left to providers and owner.
contract ClaimingTest is PaidTest {
    // --- claim ---

    function test_claim__afterVesting__paysTheLeafLessWhatWasTaken() public {
        _playRounds(1, 1_000e18);
        uint256 before = _balance(_provider(1));
        vm.warp(vestsAt);
        vm.expectEmit(address(market));
        emit EventsLib.Claimed(id, _provider(1), 1_000e18);
        _claim(1, 1, 1_000e18);
        assertEq(_balance(_provider(1)), before + 1_000e18, "provider");
        assertEq(_standing(1).claimed, 1_000e18, "claimed");
        _assertMoney(1_000e18, rules.pot - 2_000e18);
        assertEq(_balance(address(market)), rules.pot + 200e18 + 500e18 - 1_000e18, "market");
    }

    function test_claim__ofSeveralRoundsAtOnce__paysAll() public {
        _playRounds(3, 1_000e18);
        vm.warp(vestsAt);
        _claim(0, 3, 3_000e18);
        assertEq(_standing(0).claimed, 3_000e18, "claimed");
        _assertMoney(3_000e18, rules.pot - 6_000e18);
    }

    function test_claim__twice__isRefused() public {
        _playRounds(1, 1_000e18);
        vm.warp(vestsAt);
        _claim(0, 1, 1_000e18);
        _refused(abi.encodeWithSelector(ErrorsLib.NothingToClaim.selector, 1_000e18));
        _claim(0, 1, 1_000e18);
    }

    function test_claim__ofAnOlderRoundAfterANewer__isRefused() public {
        _playRounds(1, 1_000e18);
        bytes32[] memory older = leaves;
        _playRound(2_000e18);
        vm.warp(vestsAt);
        _claim(0, 2, 2_000e18);
        leaves = older;
        _refused(abi.encodeWithSelector(ErrorsLib.NothingToClaim.selector, 2_000e18));
        _claim(0, 1, 1_000e18);
    }

    function test_claim__beforeVesting__isRefused() public {
        _playRounds(1, 1_000e18);
        vm.warp(vestsAt - 1);
        _refused(abi.encodeWithSelector(ErrorsLib.NotVested.selector, vestsAt));
        _claim(0, 1, 1_000e18);
        vm.warp(vestsAt);
        _claim(0, 1, 1_000e18);
    }

    function testFuzz_claim__ofAnotherAmountOrLeafOrRound__isRefused(uint96 amount, uint16 round) public {
        _playRounds(1, 1_000e18);
        vm.assume(amount != 1_000e18 && round != 1);
        vm.warp(vestsAt);
        _refused(ErrorsLib.WrongProof.selector);
        _claim(0, 1, amount);
        _refused(ErrorsLib.WrongProof.selector);
        _claim(0, round, 1_000e18);
        bytes32[] memory none = new bytes32[](0);
        _refused(ErrorsLib.WrongProof.selector);
        _as(_provider(0));
        market.claim(id, 1, 1_000e18, none);
        _claim(0, 1, 1_000e18);
    }

    function test_claim__withAnothersLeaf__isRefused() public {
        _playRounds(1, 1_000e18);
        vm.warp(vestsAt);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = leaves[0];
        _refused(ErrorsLib.NotMember.selector);
        _as(rival);
        market.claim(id, 1, 1_000e18, proof);
        proof[0] = leaves[1];
        _refused(ErrorsLib.WrongProof.selector);
        _as(_provider(1));
        market.claim(id, 1, 1_000e18, proof);
    }

    function test_claim__ofMoreThanWasAllocated__isRefused() public {
        _open(2);
        _updates(2);
        _setEqualPayouts(2, 1_000e18);
        _merge(aggregator, 1_500e18); // a lie: the leaves add up to more
        vm.warp(vestsAt);
        _claim(0, 1, 1_000e18);
        _refused(abi.encodeWithSelector(ErrorsLib.NotOwed.selector, 500e18));
        _claim(1, 1, 1_000e18);
    }

    function test_claim__afterLeavingAndWithdrawing__stillPays() public {
        _playRounds(3, 1_000e18);
        vm.warp(vestsAt);
        _withdraw(0);
        _claim(0, 3, 3_000e18);
        assertEq(_balance(_provider(0)), FORTUNE + 3_000e18, "provider");
    }

    // --- claimLapsed ---

    function test_claimLapsed__whenTheAggregatorIsSilent__sharesTheRoundAndItsBond() public {
        _open(3);
        for (uint256 k = 0; k < 3; ++k) {
            _commit(k);
        }
        for (uint256 k = 0; k < 3; ++k) {
            _reveal(k);
        }
        vm.warp(START + 90);
        uint96 share = (_share(1) + rules.bond) / 3;
        vm.expectEmit(address(market));
        emit EventsLib.BondForfeited(id, aggregator, 1, rules.bond);
        vm.expectEmit(address(market));
        emit EventsLib.Lapsed(id, 1, 3, share);
        vm.expectEmit(address(market));
        emit EventsLib.Ended(id, uint32(START + 90));
        vm.expectEmit(address(market));
        emit EventsLib.LapsedClaimed(id, 1, _provider(0), _updateRoot(0, 1), share);
        _claimLapsed(0, 1);

        assertEq(_balance(_provider(0)), FORTUNE - rules.stake + share, "provider");
        _assertMoney(2 * share, rules.pot + rules.bond - 3 * share);
        assertTrue(market.revealOf(id, 1, _updateRoot(0, 1)).compensated, "compensated");
        _refused(ErrorsLib.AlreadyCompensated.selector);
        _claimLapsed(0, 1);
        _refused(abi.encodeWithSelector(ErrorsLib.NotBonded.selector, rules.bond));
        _withdrawBond(aggregator);
        (uint96 bond,) = market.bondOf(id, aggregator);
        assertEq(bond, 0, "bond");
    }

    function test_claimLapsed__ofAnothersUpdate__isRefused() public {
        _open(2);
        _updates(2);
        skip(1_000);
        bytes32 updateRoot = _updateRoot(0, 1);
        _refused(abi.encodeWithSelector(ErrorsLib.NotProvider.selector, _provider(0)));
        _as(_provider(1));
        market.claimLapsed(id, 1, updateRoot);
        _refused(abi.encodeWithSelector(ErrorsLib.NotProvider.selector, address(0)));
        _as(_provider(1));
        market.claimLapsed(id, 1, "unknown");
        _claimLapsed(0, 1);
    }

    function test_claimLapsed__ofAMergedOrARunningRound__isRefused() public {
        _open(2);
        _updates(2);
        _refused(ErrorsLib.NotLapsed.selector);
        _claimLapsed(0, 1);
        _merge(aggregator, 0);
        _refused(ErrorsLib.NotLapsed.selector);
        _claimLapsed(0, 1);
    }

    function test_withdrawBond__ofARivalWhenTheAggregatorWasSilent__pays() public {
        _open(2);
        _bond(rival);
        _updates(2);
        skip(1_000);
        _withdrawBond(rival);
        assertEq(_balance(rival), FORTUNE, "rival");
    }

    function test_withdraw__afterTheEnd__waitsForTheLastMergeToVest() public {
        _playRounds(3, 1_000e18);
        vm.warp(vestsAt - 1);
        _refused(abi.encodeWithSelector(ErrorsLib.StakeLocked.selector, vestsAt));
        _withdraw(0);
        _refused(abi.encodeWithSelector(ErrorsLib.BondLocked.selector, vestsAt));
        _withdrawBond(aggregator);
        vm.warp(vestsAt);
        _withdraw(0);
        _withdrawBond(aggregator);
        assertEq(_balance(_provider(0)), FORTUNE, "provider");
        assertEq(_balance(aggregator), FORTUNE, "aggregator");
    }

    // --- refund ---

    function test_refund__whenTheLastMergeHasVested__paysTheOwnerTheRest() public {
        _playRounds(3, 1_000e18);
        _refused(abi.encodeWithSelector(ErrorsLib.NotVested.selector, vestsAt));
        _refund();
        vm.warp(vestsAt);
        vm.expectEmit(address(market));
        emit EventsLib.Refunded(id, owner, rules.pot - 6_000e18);
        _refund();
        assertEq(_balance(owner), FORTUNE - 6_000e18, "owner");
        _assertMoney(6_000e18, 0);
        _refused(ErrorsLib.NothingToRefund.selector);
        _refund();
    }

    function test_refund__beforeTheEnd__isRefused() public {
        _open(2);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Commit));
        _refund();
    }

    function test_refund__whenForfeitsFollow__paysAgain() public {
        rules.rounds = 1;
        _open(3);
        for (uint256 k = 0; k < 3; ++k) {
            _commit(k);
        }
        _reveal(0);
        _reveal(1);
        _warpTo(Phase.Merge);
        _merge(aggregator, 0);
        vm.warp(vestsAt);
        _refund();
        _withdraw(2);
        _assertMoney(0, rules.forfeit);
        _refund();
        assertEq(_balance(owner), FORTUNE + rules.forfeit, "owner");
    }

    /// @dev Whatever was rejected, left over by a division or forfeited: when all have gone, nothing is left.
    function testFuzz_everyoneGone__afterAnyBounty__leavesNothing(uint96 pot, uint96 paid, uint8 revealed, bool merged)
        public
    {
        rules.pot = uint96(bound(pot, 3, FORTUNE));
        rules.rounds = 1;
        _open(4);
        for (uint256 k = 0; k < 4; ++k) {
            _commit(k);
        }
        uint256 count = bound(revealed, 0, 4);
        for (uint256 k = 0; k < count; ++k) {
            _reveal(k);
        }
        vm.warp(START + 31);
        if (merged && _clock().phase == Phase.Merge) {
            uint96[] memory cumulative = new uint96[](4);
            cumulative[0] = uint96(bound(paid, 1, rules.pot));
            _setPayouts(cumulative);
            _merge(aggregator, cumulative[0]);
            vm.warp(vestsAt);
            _claim(0, 1, cumulative[0]);
        } else {
            skip(1_000);
            _settle();
            for (uint256 k = 0; k < count; ++k) {
                if (market.lapsedShare(id, 1) != 0) _claimLapsed(k, 1);
            }
        }
        for (uint256 k = 0; k < 4; ++k) {
            _withdraw(k);
        }
        (, uint128 free) = market.money(id);
        if (free != 0) _refund();
        (uint96 bond,) = market.bondOf(id, aggregator);
        if (bond != 0) _withdrawBond(aggregator);
        _assertMoney(0, 0);
        assertEq(_balance(address(market)), 0, "market");
    }
}
