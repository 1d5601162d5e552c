// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, Phase, Reveal, Terms} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {Handler} from "./Handler.sol";
import {Mintable} from "./Mintable.sol";
import {Trees} from "./Trees.sol";

/// @notice The handler's part of what the proof contracts may do. They are taken at their word: any unvested merge is
/// voided, any revealed update disqualified. In the end everyone takes what is theirs.
contract ProofHandler is Handler {
    address public constant PROVER = address(0x9F);
    uint256 private constant LONGEST_EXTENSION = 40;

    mapping(uint256 bounty => mapping(uint16 round => uint96[])) private _voided; // payouts, by member index

    constructor(ITrainingMarket market_, Mintable token_, Terms[3] memory terms, address owner_)
        Handler(market_, token_, terms, owner_)
    {}

    // --- actions ---

    function prove(uint256 bounty, uint256 seed) external {
        bounty = _bounty(bounty);
        uint16 round = _unvested(bounty, seed);
        if (round != 0) _prove(bounty, round, seed);
    }

    function _prove(uint256 bounty, uint16 round, uint256 dice) private act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        Clock memory clock = market.clock(id);
        // I31: the end by target is undone too, and the rounds that were never opened will be
        if (_reached[bounty]) _progress[bounty] = uint256(clock.round) << 8 | uint256(Phase.OpenMerge);
        _reached[bounty] = false;
        _void(bounty, round, dice);
        _noteVoided(bounty, round);
        _noteInterrupted(bounty, round, clock);
        reopened[bounty] = round;
        Terms memory terms = market.terms(id);
        _hold(bounty, this.time() + terms.mergeSeconds + terms.openMergeSeconds + terms.challengeSeconds);
    }

    function _void(uint256 bounty, uint16 round, uint256 dice) private {
        BountyId id = BountyId.wrap(bounty);
        address aggregator = market.mergeOf(id, round).aggregator;
        (uint96 lost,) = market.bondOf(id, aggregator);
        uint256 had = token.balanceOf(PROVER);
        wentOut[bounty] += lost / 2;

        vm.prank(_judge(dice));
        market.voidMerge(id, round, PROVER);

        _checkReward(token.balanceOf(PROVER) - had, lost);
        (uint96 left,) = market.bondOf(id, aggregator);
        assertEq(left, 0, "the bond is lost");
    }

    /// @dev Commitments that could not be opened any more are forgotten.
    function _noteInterrupted(uint256 bounty, uint16 voided, Clock memory clock) private {
        bool unopened = clock.phase == Phase.Commit || clock.phase == Phase.Reveal;
        if (clock.phase == Phase.Ended && clock.commits < market.terms(BountyId.wrap(bounty)).minUpdates) {
            unopened = true; // it expired
        }
        if (clock.round != voided && unopened) interrupted[bounty][clock.round] = true;
    }

    function _noteVoided(uint256 bounty, uint16 round) private {
        for (uint16 later = round; later <= roundsOf[bounty]; ++later) {
            if (_payouts[bounty][later].length == 0) continue;
            paidByMerges[bounty] -= _paid[bounty][later];
            _voided[bounty][later] = _payouts[bounty][later];
            delete _payouts[bounty][later];
            assertEq(bytes32(market.mergeOf(BountyId.wrap(bounty), later).payoutRoot), 0, "void");
        }
    }

    function disqualify(uint256 bounty, uint256 who, uint256 round) external {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        uint16 rounds = roundsOf[bounty];
        for (uint256 k = 0; k < rounds; ++k) {
            uint16 candidate = uint16(1 + (round % rounds + k) % rounds);
            Reveal memory shown = market.revealOf(id, candidate, _updateRoot(candidate, providerAt(who % PROVIDERS)));
            if (shown.provider == address(0) || shown.disqualified) continue;
            _disqualify(bounty, shown.provider, candidate);
            return;
        }
    }

    function _disqualify(uint256 bounty, address account, uint16 round) private act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        uint256 lost = stakeOf[bounty][account];
        if (lost != 0) _noteLostCommit(bounty, account);
        uint256 had = token.balanceOf(PROVER);
        wentOut[bounty] += lost / 2;
        stakeOf[bounty][account] = 0;

        vm.prank(_judge(round));
        market.disqualify(id, round, _updateRoot(round, account), PROVER);

        _checkReward(token.balanceOf(PROVER) - had, lost);
        assertTrue(market.revealOf(id, round, _updateRoot(round, account)).disqualified, "disqualified");
    }

    function _noteLostCommit(uint256 bounty, address account) private {
        BountyId id = BountyId.wrap(bounty);
        Clock memory clock = market.clock(id);
        if (clock.phase != Phase.Commit || !_committedIn(id, account, clock.round)) return;
        // before the quorum it counts no more
        if (clock.commits >= market.terms(id).minUpdates) ++lostCommits[bounty][clock.round];
    }

    function demandExtend(uint256 bounty, uint256 seed, uint256 seconds_) external act(0) {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        uint16 round = _unvested(bounty, seed);
        if (round == 0) return;
        uint32 until = uint32(this.time() + bound(seconds_, 1, LONGEST_EXTENSION));
        vm.prank(_judge(seed));
        market.extend(id, round, until);
        if (_lastVestsAt[bounty] < until) _lastVestsAt[bounty] = until;
        _hold(bounty, until);
        for (uint16 later = round; later <= roundsOf[bounty]; ++later) {
            Merge memory merged = market.mergeOf(id, later);
            if (merged.payoutRoot != 0) assertLe(until, merged.vestsAt, "extended");
        }
    }

    /// @dev I11, I13: a void merge pays nothing, unless an equal one stands in its place.
    function claimVoided(uint256 bounty, uint256 who, uint256 seed) external act(0) {
        bounty = _bounty(bounty);
        address account = providerAt(who % PROVIDERS);
        uint16 index = market.provider(BountyId.wrap(bounty), account).index;
        uint16 round = _voidedRound(bounty, index, seed);
        if (round == 0) return;
        bytes memory call = _claimCall(bounty, round, _voided[bounty][round], index);
        _refused(account, call, "I11: paid by a void merge");
    }

    /// @dev A round with a void merge that has a leaf for member `index`, 0 if there is none.
    function _voidedRound(uint256 bounty, uint16 index, uint256 seed) private view returns (uint16) {
        uint16 rounds = roundsOf[bounty];
        for (uint256 k = 0; k < rounds; ++k) {
            uint16 round = uint16(1 + (seed % rounds + k) % rounds);
            uint96[] memory cumulative = _voided[bounty][round];
            if (index < cumulative.length && !_stands(bounty, round, cumulative)) return round;
        }
        return 0;
    }

    function _stands(uint256 bounty, uint16 round, uint96[] memory cumulative) private view returns (bool) {
        bytes32 root = Trees.payoutRoot(_leaves(bounty, cumulative));
        return market.mergeOf(BountyId.wrap(bounty), round).payoutRoot == bytes28(root);
    }

    /// @dev I14: everybody who is no proof contract is refused, even where a proof contract would not be.
    function meddle(uint256 bounty, uint256 who, uint256 seed) external act(0) {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        address[5] memory people = [owner, bonders[0], bonders[1], PROVER, address(token)];
        address account = who % 2 == 0 ? people[who / 2 % 5] : providerAt(who / 2 % PROVIDERS);
        uint16 round = _unvested(bounty, seed);
        uint32 until = uint32(this.time() + LONGEST_EXTENSION);
        _refused(account, abi.encodeCall(market.voidMerge, (id, round, account)), "I14: voided");
        _refused(account, abi.encodeCall(market.extend, (id, round, until)), "I14: extended");
        bytes32 updateRoot = _updateRoot(round, providerAt(seed % PROVIDERS));
        _refused(account, abi.encodeCall(market.disqualify, (id, round, updateRoot, account)), "I14: disqualified");
    }

    /// @dev I14: nobody but the contract that divides has a share released.
    function meddleWithShares(uint256 bounty, uint256 who, uint256 round) external act(0) {
        bounty = _bounty(bounty);
        address account = who % 2 == 0 ? owner : who % 3 == 0 ? market.proofs() : providerAt(who % PROVIDERS);
        round = bound(round, 1, roundsOf[bounty]);
        _refused(account, abi.encodeCall(market.release, (BountyId.wrap(bounty), uint16(round))), "I14: released");
    }

    // --- the end of everything ---

    /// @dev Wait, then let everyone take what is theirs.
    function drain() external {
        for (uint256 bounty = 1; bounty <= BOUNTIES; ++bounty) {
            BountyId id = BountyId.wrap(bounty);
            if (market.clock(id).phase == Phase.Joining) _cancel(bounty);
            for (uint256 k = 0; k < 20 && _unfinished(id); ++k) {
                skip(400);
            }
            skip(400);
            market.settle(id);
            bool claimed_ = false; // the last merge that stands pays for all before it
            for (uint16 round = roundsOf[bounty]; round > 0; --round) {
                _release(bounty, round);
                bool lapsed = market.lapsedShare(id, round) != 0;
                bool pays = !claimed_ && _payouts[bounty][round].length != 0;
                for (uint256 k = 0; (pays || lapsed) && k < PROVIDERS; ++k) {
                    if (pays) _claim(bounty, providerAt(k), round);
                    if (lapsed) _claimLapsed(bounty, providerAt(k), round);
                }
                claimed_ = claimed_ || pays;
            }
            for (uint256 k = 0; k < PROVIDERS; ++k) {
                if (stakeOf[bounty][providerAt(k)] != 0) _withdrawStake(bounty, providerAt(k));
            }
            _withdrawBond(bounty, bonders[0]);
            _withdrawBond(bounty, bonders[1]);
            _refund(bounty);
        }
    }

    // --- the model's own view ---

    /// @dev I12: whoever proves its own fault loses by it.
    function _checkReward(uint256 reward, uint256 lost) private pure {
        assertEq(reward, lost / 2, "reward");
        assertTrue(lost == 0 || reward < lost, "I12");
    }

    function _judge(uint256 dice) private view returns (address) {
        return dice % 2 == 0 ? market.proofs() : market.demands();
    }

    function _hold(uint256 bounty, uint256 until) private {
        if (_heldUntil[bounty] < until) _heldUntil[bounty] = until;
    }

    /// @dev A round whose merge can still be voided, 0 if there is none.
    function _unvested(uint256 bounty, uint256 seed) private view returns (uint16) {
        uint16 rounds = roundsOf[bounty];
        for (uint256 k = 0; k < rounds; ++k) {
            uint16 round = uint16(1 + (seed % rounds + k) % rounds);
            if (this.time() < market.mergeOf(BountyId.wrap(bounty), round).vestsAt) return round;
        }
        return 0;
    }
}
