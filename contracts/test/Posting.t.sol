// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BountyId, MergeRule, Phase, RewardRule} from "../src/Types.sol";
import {ErrorsLib} from "../src/libraries/ErrorsLib.sol";
import {EventsLib} from "../src/libraries/EventsLib.sol";
import {MarketTest} from "./support/MarketTest.sol";

/// @notice Posting and cancelling a bounty.
contract PostingTest is MarketTest {
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

    function test_post__ofMoreClippingThanATransactionProves__isRefused() public {
        for (uint256 iterations = 1; iterations <= 4; ++iterations) {
            uint256 most = Math.min(256, 512 / iterations);
            _setClipping(iterations, most);
            _post();
            _setClipping(iterations, most + 1);
            _invalid("maxUpdates");
        }
    }

    function _setClipping(uint256 iterations, uint256 updates) private {
        (rules.mergeRule, rules.maxUpdates) = (MergeRule.CenteredClip, uint16(updates));
        rules.mergeParameters = bytes32(uint256(65_536) | 1 << 56 | iterations << 64 | 1 << 72);
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
}
