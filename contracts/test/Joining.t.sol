// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Phase} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice Joining and leaving a bounty, and bonds.
contract JoiningTest is MarketTest {
    // --- join ---

    function test_join__withTheStake__makesAMember() public {
        _post();
        _fund(_provider(0));
        vm.expectEmit(address(market));
        emit EventsLib.Joined(id, _provider(0), 0, 150e18, bytes32(uint256(1)), "/ip4/127.0.0.1/tcp/4001");
        _join(0, 150e18);
        _join(1);

        assertEq(_standing(0).stake, 150e18, "stake");
        assertEq(_standing(1).index, 1, "index");
        assertEq(_clock().members, 2, "members");
        assertEq(_clock().memberCount, 2, "ever joined");
        assertEq(market.commitmentOf(id, _provider(0)), 0, "nothing to open");
        _assertMoney(0, rules.pot);
        assertEq(_balance(_provider(0)), FORTUNE - 150e18, "provider");
        assertEq(_balance(address(market)), rules.pot + 250e18, "market");
    }

    function test_join__withLessThanTheStake__isRefused() public {
        _post();
        _fund(_provider(0));
        _refused(abi.encodeWithSelector(ErrorsLib.StakeTooSmall.selector, rules.stake));
        _join(0, rules.stake - 1);
        _join(0, rules.stake);
    }

    function test_join__twice__isRefused() public {
        _post();
        _join(0);
        _refused(abi.encodeWithSelector(ErrorsLib.AlreadyMember.selector, rules.stake));
        _join(0);
    }

    function test_join__withALongMultiaddr__isRefused() public {
        _post();
        _fund(_provider(0));
        vm.expectRevert(abi.encodeWithSelector(ErrorsLib.MultiaddrTooLong.selector, 257, 256));
        vm.prank(_provider(0));
        market.join(id, rules.stake, 0, string(new bytes(257)));
        vm.prank(_provider(0));
        market.join(id, rules.stake, 0, string(new bytes(256)));
    }

    function test_join__ofAnUnknownBounty__isRefused() public {
        id = BountyId.wrap(7);
        _fund(_provider(0));
        _refused(abi.encodeWithSelector(ErrorsLib.UnknownBounty.selector, id));
        _join(0);
        assertEq(uint256(_clock().phase), uint256(Phase.None), "phase");
        assertEq(market.ownerOf(id), address(0), "owner");
    }

    function test_join__whenTheQuorumAndTheBondAreThere__opensTheFirstRound() public {
        _post();
        _bond(aggregator);
        _join(0);
        _assertPhase(Phase.Joining, 0);
        skip(5);
        _fund(_provider(1));
        vm.expectEmit(address(market));
        emit EventsLib.RoundOpened(id, 1, _now());
        _join(1);
        _assertPhase(Phase.Commit, 1);
        assertEq(_clock().startedAt, START + 5, "opened");
        assertEq(_clock().endsAt, START + 5 + 3 * 60, "patience");
    }

    function test_join__afterWithdrawing__keepsTheIndex() public {
        _post();
        _join(0);
        _join(1);
        _leave(0);
        _withdraw(0);
        _join(2);
        _join(0, 120e18);
        assertEq(_standing(0).index, 0, "index");
        assertEq(_standing(0).stake, 120e18, "stake");
        assertEq(_clock().members, 3, "members");
        assertEq(_clock().memberCount, 3, "ever joined");
    }

    function test_join__whileLeaving__isRefused() public {
        _open(3);
        _leave(2);
        _refused(abi.encodeWithSelector(ErrorsLib.AlreadyMember.selector, rules.stake));
        _join(2);
    }

    // --- leave ---

    function test_leave__whileJoining__unlocksAtOnce() public {
        _post();
        _join(0);
        vm.expectEmit(address(market));
        emit EventsLib.Left(id, _provider(0), _now());
        _leave(0);
        vm.expectEmit(address(market));
        emit EventsLib.StakeWithdrawn(id, _provider(0), rules.stake);
        _withdraw(0);
        assertEq(_balance(_provider(0)), FORTUNE, "provider");
        assertEq(_standing(0).stake, 0, "stake");
        assertEq(_clock().members, 0, "members");
    }

    function test_leave__inARound__unlocksWhenNothingCanBeChallenged() public {
        _open(3);
        _leave(2);
        uint32 unlocksAt = uint32(START) + 3 * 60 + 30 + 40 + 50 + 100;
        assertEq(_standing(2).unlocksAt, unlocksAt, "unlocks");
        _refused(abi.encodeWithSelector(ErrorsLib.StakeLocked.selector, unlocksAt));
        _withdraw(2);
        for (uint16 round = 1; round <= 3; ++round) {
            skip(59);
            _updates(2);
            skip(80);
            _merge(aggregator, 0);
        }
        assertTrue(vestsAt > unlocksAt, "the bounty outlasts the lock");
        vm.warp(unlocksAt - 1);
        _refused(abi.encodeWithSelector(ErrorsLib.StakeLocked.selector, unlocksAt));
        _withdraw(2);
        vm.warp(unlocksAt);
        _withdraw(2);
        assertEq(_balance(_provider(2)), FORTUNE, "provider");
    }

    function test_leave__byANonMember__isRefused() public {
        _post();
        _refused(ErrorsLib.NotMember.selector);
        _leave(0);
        _join(0);
        _leave(0);
        _refused(ErrorsLib.NotMember.selector);
        _leave(0);
    }

    function test_leave__withACommitInTheRunningPhase__isRefused() public {
        _open(3);
        _commit(0);
        _refused(abi.encodeWithSelector(ErrorsLib.StandingCommitment.selector, 1));
        _leave(0);
        _commit(1);
        _warpTo(Phase.Reveal);
        _leave(0);
        _reveal(0);
        assertEq(_clock().reveals, 1, "a leaving provider may reveal");
    }

    function test_leave__ofTheLastWhoCouldCommit__closesTheCommitPhase() public {
        _open(3);
        _commit(0);
        _commit(1);
        skip(7);
        _leave(2);
        _assertPhase(Phase.Reveal, 1);
        assertEq(_clock().startedAt, START + 7, "closed early");
    }

    function test_withdrawStake__byAMember__waitsForTheEnd() public {
        _open(2);
        _refused(abi.encodeWithSelector(ErrorsLib.StakeLocked.selector, type(uint32).max));
        _withdraw(0);
        vm.warp(START + 180); // nobody committed: expired
        _withdraw(0);
        _assertPhase(Phase.Ended, 1);
        assertEq(_balance(_provider(0)), FORTUNE, "provider");
        _refused(ErrorsLib.NotMember.selector);
        _withdraw(0);
    }

    // --- bonds ---

    function test_depositBond__byAnyone__locksTheBond() public {
        _post();
        vm.expectEmit(address(market));
        emit EventsLib.BondDeposited(id, rival, rules.bond);
        _bond(rival);
        (uint96 amount, uint32 lockedUntil) = market.bondOf(id, rival);
        assertEq(amount, rules.bond, "bond");
        assertEq(lockedUntil, 0, "free");
        _refused(ErrorsLib.AlreadyBonded.selector);
        _bond(rival);
        vm.expectEmit(address(market));
        emit EventsLib.BondWithdrawn(id, rival, rules.bond);
        _withdrawBond(rival);
        assertEq(_balance(rival), FORTUNE, "rival");
        _refused(abi.encodeWithSelector(ErrorsLib.NotBonded.selector, rules.bond));
        _withdrawBond(rival);
    }

    function test_depositBond__ofARival__opensNothing() public {
        _post();
        _join(0);
        _join(1);
        _bond(rival);
        _assertPhase(Phase.Joining, 0);
        _bond(aggregator);
        _assertPhase(Phase.Commit, 1);
    }

    function test_withdrawBond__byTheNamedAggregatorWhileJoining__letsTheBountyWait() public {
        _post();
        _bond(aggregator);
        _withdrawBond(aggregator);
        _join(0);
        _join(1);
        _assertPhase(Phase.Joining, 0);
        assertEq(_balance(aggregator), FORTUNE, "aggregator");
    }

    function test_withdrawBond__byTheNamedAggregatorInARound__waitsForTheEnd() public {
        _open(2);
        _refused(abi.encodeWithSelector(ErrorsLib.BondLocked.selector, type(uint32).max));
        _withdrawBond(aggregator);
        vm.warp(START + 180);
        _withdrawBond(aggregator);
        assertEq(_balance(aggregator), FORTUNE, "aggregator");
    }
}
