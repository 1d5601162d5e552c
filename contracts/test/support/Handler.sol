// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, MergeClaim, Phase, Provider, Terms} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {Mintable} from "./Mintable.sol";
import {RoundHandler} from "./RoundHandler.sol";
import {Trees} from "./Trees.sol";

/// @notice What follows a round's reveals, at random: merges, and everyone's money.
abstract contract Handler is RoundHandler {
    constructor(ITrainingMarket market_, Mintable token_, Terms[3] memory terms, address owner_)
        RoundHandler(market_, token_, terms, owner_)
    {}

    /// @dev What carries a bounty on from where it stands; without it few runs would see a second round.
    function carryOn(uint256 bounty, uint256 dice, uint256 rejected) external {
        BountyId id = BountyId.wrap(_bounty(bounty));
        Clock memory clock = market.clock(id);
        if (clock.phase == Phase.Joining) {
            join(bounty, dice, dice);
            depositBond(bounty, 0);
        } else if (clock.phase == Phase.Commit) {
            for (uint256 k = 0; k < PROVIDERS; ++k) {
                if (k != dice % (2 * PROVIDERS)) commit(bounty, k);
            }
        } else if (clock.phase == Phase.Reveal) {
            for (uint256 k = 0; k < PROVIDERS; ++k) {
                if (k != dice % (2 * PROVIDERS)) reveal(bounty, k);
            }
        } else if (dice % 8 != 0) {
            if (clock.phase == Phase.OpenMerge) depositBond(bounty, dice);
            merge(bounty, dice, rejected);
        }
        clock = market.clock(id);
        if (clock.phase == Phase.Reveal && clock.reveals == 0 || clock.endsAt == 0) return;
        if (clock.commits >= market.terms(id).minUpdates && dice % 2 == 0) vm.warp(clock.endsAt);
    }

    function merge(uint256 bounty, uint256 who, uint256 rejected) public act(0) {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        Clock memory clock = market.clock(id);
        address account = bonders[who % 2];
        if (clock.phase != Phase.Merge && clock.phase != Phase.OpenMerge) return;
        if (clock.phase == Phase.Merge && account != bonders[0]) return;
        if (reopened[bounty] != 0 && clock.startedAt == this.time()) return; // just voided
        (uint96 held,) = market.bondOf(id, account);
        if (held == 0) return;
        rejected = rejected >> 128 & rejected & (1 << clock.reveals) - 1; // a quarter of the bits

        MergeClaim memory newMerge = _divided(bounty, id, clock, rejected);
        newMerge.metric = who / 2 % 4 == 0 ? type(uint32).max : 1;
        vm.prank(account);
        market.merge(id, clock.round, newMerge);
        _noteMerge(bounty, clock.round, newMerge.paid);
        uint32 target = market.terms(id).target;
        _reached[bounty] = target != 0 && newMerge.metric >= target;
        assertTrue(!_reached[bounty] || market.clock(id).phase == Phase.Ended, "I31: the target ends the bounty");
    }

    function _noteMerge(uint256 bounty, uint16 round, uint96 paid) private {
        BountyId id = BountyId.wrap(bounty);
        paidByMerges[bounty] += paid;
        _paid[bounty][round] = paid;
        reopened[bounty] = 0;
        uint256 vestsAt = market.mergeOf(id, round).vestsAt;
        assertLe(this.time() + market.terms(id).challengeSeconds, vestsAt, "I13: a window of its own");
        assertLe(_lastVestsAt[bounty], vestsAt, "I13: not before an earlier one");
        _lastVestsAt[bounty] = vestsAt;
    }

    /// @dev The payouts by docs/PROTOCOL.md, section 7; accepted + rejected = revealed.
    function _divided(uint256 bounty, BountyId id, Clock memory clock, uint256 rejected)
        private
        returns (MergeClaim memory newMerge)
    {
        assertEq(_revealed[bounty][clock.round].length, clock.reveals, "revealed");
        (uint256[] memory weights, uint256 total, uint256 rejections) = _weights(id, clock.round, rejected);
        (newMerge.rejected, newMerge.reasons) = (rejected, new bytes(4 * rejections));
        uint96[] memory cumulative = _before(bounty, id, clock);
        newMerge.paid = _pay(id, clock.round, cumulative, weights, total);
        _payouts[bounty][clock.round] = cumulative;
        newMerge.payoutRoot = Trees.payoutRoot(_leaves(bounty, cumulative));
        newMerge.payoutLeaves = uint16(cumulative.length);
    }

    function _pay(BountyId id, uint16 round, uint96[] memory cumulative, uint256[] memory weights, uint256 total)
        private
        view
        returns (uint96 paid)
    {
        address[] storage revealed = _revealed[BountyId.unwrap(id)][round];
        uint256 share = _share(id, round);
        uint256 divisor = market.terms(id).minUpdates;
        if (divisor < total) divisor = total;
        if (_isDivided(id)) return uint96(share * total / divisor);
        for (uint256 k = 0; k < weights.length; ++k) {
            if (weights[k] == 0) continue;
            uint96 pay = uint96(share * weights[k] / divisor);
            cumulative[market.provider(id, revealed[k]).index] += pay;
            paid += pay;
        }
    }

    /// @dev By reveal index; 0 for those that are left out.
    function _weights(BountyId id, uint16 round, uint256 rejected)
        private
        view
        returns (uint256[] memory weights, uint256 total, uint256 rejections)
    {
        address[] storage revealed = _revealed[BountyId.unwrap(id)][round];
        weights = new uint256[](revealed.length);
        for (uint256 k = 0; k < weights.length; ++k) {
            if (rejected >> k & 1 == 1) {
                ++rejections;
                continue;
            }
            weights[k] = market.revealOf(id, round, _updateRoot(round, revealed[k])).weight;
            assertLe(1, weights[k], "weight");
            total += weights[k];
        }
    }

    // --- money ---

    function claim(uint256 bounty, uint256 who, uint256 round) external {
        bounty = _bounty(bounty);
        _claim(bounty, providerAt(who % PROVIDERS), uint16(bound(round, 1, roundsOf[bounty])));
    }

    function _claim(uint256 bounty, address account, uint16 round) internal act(bounty) {
        uint96[] memory cumulative = _payouts[bounty][round];
        Provider memory standing = market.provider(BountyId.wrap(bounty), account);
        if (standing.commitRound == 0 || standing.index >= cumulative.length) return;
        if (cumulative[standing.index] <= standing.claimed) return;
        bytes memory call = _claimCall(bounty, round, cumulative, standing.index);
        if (this.time() < market.mergeOf(BountyId.wrap(bounty), round).vestsAt) {
            _refused(account, call, "I13: claimed in the window");
            return;
        }
        uint96 amount = cumulative[standing.index] - standing.claimed;
        wentOut[bounty] += amount;
        taken[bounty] += amount;
        claimed[bounty][account] += amount;
        vm.prank(account);
        (bool done,) = address(market).call(call);
        assertTrue(done, "a valid claim");
        _refused(account, call, "I16: paid twice");
    }

    function _claimCall(uint256 bounty, uint16 round, uint96[] memory cumulative, uint16 index)
        internal
        view
        returns (bytes memory)
    {
        bytes32[] memory proof = Trees.proof(_leaves(bounty, cumulative), index);
        return abi.encodeCall(market.claim, (BountyId.wrap(bounty), round, cumulative[index], proof));
    }

    function claimLapsed(uint256 bounty, uint256 who, uint256 round) external {
        bounty = _bounty(bounty);
        _claimLapsed(bounty, providerAt(who % PROVIDERS), uint16(bound(round, 1, roundsOf[bounty])));
    }

    function _claimLapsed(uint256 bounty, address account, uint16 round) internal act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        bytes32 updateRoot = _updateRoot(round, account);
        uint96 share = market.lapsedShare(id, round);
        if (share == 0 || market.revealOf(id, round, updateRoot).provider != account) return;
        if (market.revealOf(id, round, updateRoot).compensated) return;
        (wentOut[bounty], taken[bounty]) = (wentOut[bounty] + share, taken[bounty] + share);
        vm.prank(account);
        market.claimLapsed(id, round, updateRoot);
    }

    /// @dev I32: a share that contribution divides leaves once, when it has vested.
    function release(uint256 bounty, uint256 round) external {
        bounty = _bounty(bounty);
        _release(bounty, uint16(bound(round, 1, roundsOf[bounty])));
    }

    function _release(uint256 bounty, uint16 round) internal act(bounty) {
        address scores = market.scores();
        if (!_isReleasable(bounty, round)) {
            _refused(scores, abi.encodeCall(market.release, (BountyId.wrap(bounty), round)), "I32: released");
            return;
        }
        _released[bounty][round] = true;
        wentOut[bounty] += _paid[bounty][round];
        taken[bounty] += _paid[bounty][round];
        vm.prank(scores);
        assertEq(market.release(BountyId.wrap(bounty), round), _paid[bounty][round], "I32: another share");
    }

    function _isReleasable(uint256 bounty, uint16 round) private view returns (bool) {
        uint32 vestsAt = market.mergeOf(BountyId.wrap(bounty), round).vestsAt;
        bool isDue = vestsAt != 0 && this.time() >= vestsAt;
        return isDue && _isDivided(BountyId.wrap(bounty)) && !_released[bounty][round];
    }

    function settle(uint256 bounty) external act(0) {
        market.settle(BountyId.wrap(_bounty(bounty)));
    }

    function refund(uint256 bounty) external {
        _refund(_bounty(bounty));
    }

    function _refund(uint256 bounty) internal act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        (, uint128 free) = market.money(id);
        if (market.clock(id).phase != Phase.Ended || free == 0 || this.time() < _lastVestsAt[bounty]) return;
        wentOut[bounty] += free;
        market.refund(id);
    }

    function cancel(uint256 bounty, uint256 dice) external {
        bounty = _bounty(bounty);
        if (dice % 16 == 0 && market.clock(BountyId.wrap(bounty)).phase == Phase.Joining) _cancel(bounty);
    }

    function _cancel(uint256 bounty) internal act(bounty) {
        (, uint128 free) = market.money(BountyId.wrap(bounty));
        wentOut[bounty] += free;
        vm.prank(owner);
        market.cancel(BountyId.wrap(bounty));
    }
}
