// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {BountyId, Phase, RewardRule} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice Posting, cancelling, joining, leaving, bonding.
contract JoiningTest is MarketTest {
    // --- post ---

    function test_post__ofValidTerms__escrowsThePotAndWaitsForMembers() public {
        vm.expectEmit(address(market));
        emit EventsLib.Posted(BountyId.wrap(1), owner, rules);
        _post();

        assertEq(BountyId.unwrap(id), 1, "id");
        assertEq(market.bountyCount(), 1, "count");
        assertEq(market.ownerOf(id), owner, "owner");
        assertEq(keccak256(abi.encode(market.terms(id))), keccak256(abi.encode(rules)), "terms");
        _assertPhase(Phase.Joining, 0);
        assertEq(_clock().startedAt, START, "since");
        assertEq(_clock().endsAt, 0, "no end");
        _assertMoney(0, rules.pot);
        assertEq(_balance(address(market)), rules.pot, "market");
        assertEq(_balance(owner), FORTUNE - rules.pot, "owner");
    }

    function test_post__twice__countsOn() public {
        _post();
        _post();
        assertEq(BountyId.unwrap(id), 2, "second id");
    }

    function test_post__withoutTheMoney__isRefused() public {
        vm.prank(owner);
        token.approve(address(market), rules.pot - 1);
        vm.expectRevert();
        vm.prank(owner);
        market.post(rules);
        assertEq(market.bountyCount(), 0, "count");
    }

    function test_post__withAFieldOutOfRange__namesIt() public {
        rules.token = IERC20(address(0xdead));
        _invalid("token");
        rules.pot = 0;
        _invalid("pot");
        rules.aggregator = address(0);
        _invalid("aggregator");
        rules.bond = 0;
        _invalid("bond");
        rules.bond = type(uint96).max - rules.pot + 1;
        _invalid("bond");
        rules.stake = 0;
        _invalid("stake");
        rules.squaredNormBound = 0;
        _invalid("squaredNormBound");
        rules.rounds = 0;
        _invalid("rounds");
        rules.minUpdates = 0;
        _invalid("minUpdates");
        rules.maxUpdates = rules.minUpdates - 1;
        _invalid("maxUpdates");
        rules.maxUpdates = 257;
        _invalid("maxUpdates");
        rules.maxWeight = 0;
        _invalid("maxWeight");
        rules.maxWeight = 2;
        _invalid("maxWeight");
        rules.forfeit = rules.stake + 1;
        _invalid("forfeit");
        rules.commitSeconds = 0;
        _invalid("commitSeconds");
        rules.revealSeconds = 0;
        _invalid("revealSeconds");
        rules.mergeSeconds = 0;
        _invalid("mergeSeconds");
        rules.patience = 0;
        _invalid("patience");
        rules.commitSeconds = type(uint24).max;
        _invalid("patience");
        rules.chunks = 0;
        _invalid("chunks");
        rules.manifest = 0;
        _invalid("manifest");
        rules.stateRoot = 0;
        _invalid("stateRoot");
        rules.mergeParameters = 0;
        _invalid("mergeParameters");
        rules.mergeParameters = bytes32(uint256(1) << 32);
        _invalid("mergeParameters");
        _post();
    }

    /// @dev Posting `rules` is refused for `field`; then the usual rules are back.
    function _invalid(string memory field) private {
        _refused(abi.encodeWithSelector(ErrorsLib.InvalidTerms.selector, field));
        _post();
        rules = _usualTerms();
    }

    function test_post__atTheEdgesOfTheRanges__isAccepted() public {
        (rules.minUpdates, rules.maxUpdates) = (256, 256);
        (rules.rewardRule, rules.maxWeight) = (RewardRule.Stake, 255);
        (rules.forfeit, rules.bond) = (rules.stake, type(uint96).max - rules.pot);
        (rules.patience, rules.commitSeconds) = (1, type(uint24).max);
        (rules.openMergeSeconds, rules.challengeSeconds) = (0, 1);
        rules.mergeParameters = bytes32(uint256(type(uint32).max));
        _post();
    }

    function testFuzz_post__ofAnyPotAndRounds__hasSharesThatAddUpToThePot(uint96 pot, uint16 rounds) public {
        rules.pot = uint96(bound(pot, 1, FORTUNE));
        rules.rounds = uint16(bound(rounds, 1, 300));
        uint256 total = 0;
        for (uint16 round = 1; round <= rules.rounds; ++round) {
            total += _share(round);
        }
        assertEq(total, rules.pot, "sum of the shares");
    }

    // --- cancel ---

    function test_cancel__whileJoining__returnsEverythingAtOnce() public {
        _post();
        _join(0);
        _bond(aggregator);
        vm.expectEmit(address(market));
        emit EventsLib.Cancelled(id, rules.pot);
        _cancel();
        _withdraw(0);
        _withdrawBond(aggregator);

        _assertPhase(Phase.Cancelled, 0);
        _assertMoney(0, 0);
        assertEq(_balance(owner), FORTUNE, "owner");
        assertEq(_balance(_provider(0)), FORTUNE, "provider");
        assertEq(_balance(aggregator), FORTUNE, "aggregator");
        assertEq(_balance(address(market)), 0, "market");
        assertEq(_clock().members, 0, "members");
    }

    function testFuzz_cancel__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != owner && caller != address(0));
        _post();
        vm.expectRevert(abi.encodeWithSelector(ErrorsLib.NotOwner.selector, owner));
        vm.prank(caller);
        market.cancel(id);
        _cancel();
    }

    function test_cancel__onceARoundHasOpened__isRefused() public {
        _open(2);
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Commit));
        _cancel();
    }

    function test_cancel__twice__isRefused() public {
        _post();
        _cancel();
        _refused(abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Cancelled));
        _cancel();
    }

    function test_cancelled__forEveryOtherCall__isOver() public {
        _post();
        _cancel();
        bytes memory over = abi.encodeWithSelector(ErrorsLib.WrongPhase.selector, Phase.Cancelled);
        _fund(_provider(0));
        _refused(over);
        _join(0);
        _refused(over);
        _bond(aggregator);
        _refused(over);
        _leave(0);
        _refused(over);
        _refund();
    }

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
