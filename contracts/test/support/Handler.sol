// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, MergeClaim, Phase, Provider, RewardRule, Terms} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {ChunkTreeLib} from "../../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../../src/libraries/SumTreeLib.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";
import {Trees} from "./Trees.sol";

/// @notice Random people in three bounties of one token. Every action is valid when it is made; one that would not be
/// valid is left out or must be refused. Ghosts count, apart from the contract, what came in, went out and was allocated.
abstract contract Handler is Test {
    uint256 public constant BOUNTIES = 3;
    uint256 public constant PROVIDERS = 5;
    uint64 private constant NORM = 9;

    ITrainingMarket public immutable market;
    Mintable public immutable token;
    address public immutable owner;
    address[2] public bonders; // the named aggregator, a rival

    mapping(uint256 bounty => uint16) public roundsOf;

    // ghosts
    mapping(uint256 bounty => uint256) public cameIn;
    mapping(uint256 bounty => uint256) public wentOut;
    mapping(uint256 bounty => uint256) public paidByMerges;
    mapping(uint256 bounty => uint256) public taken;
    mapping(uint256 bounty => uint256) public everJoined;
    mapping(uint256 bounty => mapping(address account => uint256)) public claimed;
    mapping(uint256 bounty => mapping(uint16 round => uint256)) public revealsOf;
    mapping(uint256 bounty => mapping(address account => uint256)) public stakeOf;
    mapping(uint256 bounty => mapping(uint16 round => uint256)) public lostCommits; // by disqualified members
    mapping(uint256 bounty => mapping(uint16 round => bool)) public interrupted;
    mapping(uint256 bounty => uint256) internal _lastVestsAt; // of any merge, void ones included
    mapping(uint256 bounty => uint256) internal _heldUntil;
    mapping(uint256 bounty => uint16) public reopened; // the voided round that is merged again
    mapping(uint256 bounty => mapping(uint16 round => uint96)) internal _paid; // by a merge
    mapping(uint256 bounty => bool) internal _reached; // ended by a merge at the target
    mapping(uint256 bounty => mapping(uint16 round => bool)) internal _released;
    mapping(uint256 bounty => uint256) internal _progress;
    mapping(uint256 bounty => mapping(uint16 round => address[])) private _revealed; // by reveal index
    mapping(uint256 bounty => mapping(uint16 round => uint96[])) internal _payouts; // of standing merges, by member index
    mapping(uint256 bounty => mapping(uint256 index => address)) private _memberAt;

    constructor(ITrainingMarket market_, Mintable token_, Terms[3] memory terms, address owner_) {
        (market, token, owner) = (market_, token_, owner_);
        bonders = [terms[0].aggregator, address(0xB0B)];
        _fund(owner);
        _fund(bonders[0]);
        _fund(bonders[1]);
        for (uint256 k = 0; k < PROVIDERS; ++k) {
            _fund(providerAt(k));
        }
        for (uint256 k = 0; k < BOUNTIES; ++k) {
            vm.prank(owner);
            BountyId id = market.post(terms[k]);
            cameIn[BountyId.unwrap(id)] = terms[k].pot;
            roundsOf[BountyId.unwrap(id)] = terms[k].rounds;
        }
    }

    function _fund(address account) private {
        token.mint(account, 1e30);
        vm.prank(account);
        token.approve(address(market), type(uint256).max);
    }

    function providerAt(uint256 k) public pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    /// @notice What an account may have claimed at most: its greatest leaf under a merge that stands.
    function mostPaid(uint256 bounty, address account) external view returns (uint256 most) {
        uint16 index = market.provider(BountyId.wrap(bounty), account).index;
        for (uint16 round = roundsOf[bounty]; round > 0; --round) {
            uint96[] storage payouts = _payouts[bounty][round];
            if (index < payouts.length && _memberAt[bounty][index] == account && payouts[index] > most) {
                most = payouts[index];
            }
        }
    }

    /// @dev After every action: rounds and phases never go back, and the money that moved is the money that was due.
    modifier act(uint256 bounty) {
        uint256 before = token.balanceOf(address(market));
        (uint256 inBefore, uint256 outBefore) = (cameIn[bounty], wentOut[bounty]);
        _;
        uint256 expected = before + (cameIn[bounty] - inBefore) - (wentOut[bounty] - outBefore);
        assertEq(token.balanceOf(address(market)), expected, "money moved by an action");
        if (bounty != 0) {
            _checkProgress(bounty);
        } else {
            for (uint256 k = 1; k <= BOUNTIES; ++k) {
                _checkProgress(k);
            }
        }
    }

    function _checkProgress(uint256 bounty) private {
        Clock memory clock = market.clock(BountyId.wrap(bounty));
        if (reopened[bounty] != 0 && clock.phase != Phase.Ended) {
            assertEq(uint256(clock.phase), uint256(Phase.OpenMerge), "a voided round is open to all");
            assertEq(clock.round, reopened[bounty], "a voided round is merged again");
            return;
        }
        uint256 progress = _rank(clock);
        assertTrue(progress >= _progress[bounty], "state went back");
        _progress[bounty] = progress;
    }

    /// @dev Grows along a bounty's life: rounds, then phases within a round; the end is the greatest.
    function _rank(Clock memory clock) internal pure returns (uint256) {
        if (clock.phase >= Phase.Ended) return type(uint256).max;
        return uint256(clock.round) << 8 | uint256(clock.phase);
    }

    // --- actions ---

    function wait(uint256 seconds_) external act(0) {
        skip(bound(seconds_, 1, 30));
    }

    function waitLong(uint256 seconds_) external act(0) {
        if (seconds_ % 16 == 0) skip(bound(seconds_, 45, 400));
    }

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

    function join(uint256 bounty, uint256 who, uint256 stake) public {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        if (!_unfinished(id) || market.provider(id, account).stake != 0) return;
        _join(bounty, account, uint96(bound(stake, 100, 900)));
    }

    function _join(uint256 bounty, address account, uint96 stake) private act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        cameIn[bounty] += stake;
        stakeOf[bounty][account] = stake;
        vm.prank(account);
        market.join(id, stake, "key", "/ip4/127.0.0.1");
        uint256 index = market.provider(id, account).index;
        if (_memberAt[bounty][index] == address(0)) ++everJoined[bounty];
        _memberAt[bounty][index] = account;
    }

    function leave(uint256 bounty, uint256 who) external act(0) {
        BountyId id = BountyId.wrap(_bounty(bounty));
        address account = providerAt(who % PROVIDERS);
        Clock memory clock = market.clock(id);
        if (who % 3 != 0 || !_unfinished(id) || !_active(id, account)) return;
        if (clock.phase == Phase.Commit && _committedIn(id, account, clock.round)) return;
        vm.prank(account);
        market.leave(id);
    }

    function withdrawStake(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        if (market.provider(id, account).stake == 0 || !_stakeFree(id, account)) return;
        _withdrawStake(bounty, account);
    }

    function _withdrawStake(uint256 bounty, address account) internal act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        uint256 amount = stakeOf[bounty][account];
        if (_forfeitDue(id, account)) amount -= market.terms(id).forfeit;
        stakeOf[bounty][account] = 0;
        wentOut[bounty] += amount;
        vm.prank(account);
        market.withdrawStake(id);
    }

    function commit(uint256 bounty, uint256 who) public act(0) {
        BountyId id = BountyId.wrap(_bounty(bounty));
        address account = providerAt(who % PROVIDERS);
        Clock memory clock = market.clock(id);
        if (clock.phase != Phase.Commit || !_active(id, account)) return;
        uint16 earlier = market.provider(id, account).commitRound;
        if (earlier == clock.round) return; // one commitment a round, also after a disqualification
        if (market.commitmentOf(id, account) != 0 && !interrupted[BountyId.unwrap(id)][earlier]) return;
        bytes32 commitment = _commitment(id, clock.round, account);
        vm.prank(account);
        market.commit(id, clock.round, commitment);
    }

    function reveal(uint256 bounty, uint256 who) public act(0) {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        Clock memory clock = market.clock(id);
        if (clock.phase != Phase.Reveal || !_committedIn(id, account, clock.round)) return;
        vm.prank(account);
        market.reveal(id, clock.round, "cid", _updateRoot(clock.round, account), "salt");
        _revealed[bounty][clock.round].push(account);
        ++revealsOf[bounty][clock.round];
    }

    function forfeit(uint256 bounty, uint256 who) external act(0) {
        bounty = _bounty(bounty);
        (BountyId id, address account) = (BountyId.wrap(bounty), providerAt(who % PROVIDERS));
        market.settle(id);
        if (!_forfeitDue(id, account)) {
            _refused(account, abi.encodeCall(market.forfeit, (id, account)), "I15: nothing to forfeit");
            return;
        }
        stakeOf[bounty][account] -= market.terms(id).forfeit;
        market.forfeit(id, account);
    }

    function depositBond(uint256 bounty, uint256 who) public {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        (uint96 held,) = market.bondOf(id, bonders[who % 2]);
        if (!_unfinished(id) || held != 0) return;
        _depositBond(bounty, bonders[who % 2]);
    }

    function _depositBond(uint256 bounty, address account) private act(bounty) {
        cameIn[bounty] += market.terms(BountyId.wrap(bounty)).bond;
        vm.prank(account);
        market.depositBond(BountyId.wrap(bounty));
    }

    function withdrawBond(uint256 bounty, uint256 who) external {
        bounty = _bounty(bounty);
        if (who % 3 == 0) _withdrawBond(bounty, bonders[who % 2]);
    }

    function _withdrawBond(uint256 bounty, address account) internal act(bounty) {
        BountyId id = BountyId.wrap(bounty);
        market.settle(id);
        (uint96 held, uint32 lockedUntil) = market.bondOf(id, account);
        if (held == 0 || this.time() < lockedUntil) return;
        wentOut[bounty] += held;
        vm.prank(account);
        market.withdrawBond(id);
    }

    function merge(uint256 bounty, uint256 who, uint256 rejected) public act(0) {
        bounty = _bounty(bounty);
        BountyId id = BountyId.wrap(bounty);
        Clock memory clock = market.clock(id);
        address account = bonders[who % 2];
        if (clock.phase != Phase.Merge && clock.phase != Phase.OpenMerge) return;
        if (clock.phase == Phase.Merge && account != bonders[0]) return;
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

    function _refused(address account, bytes memory call, string memory what) internal {
        vm.prank(account);
        (bool done,) = address(market).call(call);
        assertTrue(!done, what);
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

    // --- the model's own view ---

    /// @dev Whether the payout tree pays nothing, and another contract divides the shares.
    function _isDivided(BountyId id) internal view returns (bool) {
        return market.terms(id).rewardRule == RewardRule.Contribution;
    }

    function _bounty(uint256 seed) internal pure returns (uint256) {
        return 1 + seed % BOUNTIES;
    }

    function _unfinished(BountyId id) internal view returns (bool) {
        Phase phase = market.clock(id).phase;
        return phase != Phase.Ended && phase != Phase.Cancelled;
    }

    function _active(BountyId id, address account) internal view returns (bool) {
        Provider memory standing = market.provider(id, account);
        return standing.stake != 0 && standing.unlocksAt == 0;
    }

    function _committedIn(BountyId id, address account, uint16 round) internal view returns (bool) {
        return market.commitmentOf(id, account) != 0 && market.provider(id, account).commitRound == round;
    }

    /// @dev Unopened, and its reveal window is over. A commit phase that expired had none: no quorum ever came.
    function _forfeitDue(BountyId id, address account) private view returns (bool) {
        if (market.commitmentOf(id, account) == 0) return false;
        Clock memory clock = market.clock(id);
        uint16 round = market.provider(id, account).commitRound;
        if (interrupted[BountyId.unwrap(id)][round]) return false;
        if (round != clock.round) return true;
        if (clock.phase == Phase.Ended) return clock.commits >= market.terms(id).minUpdates;
        return clock.phase == Phase.Merge || clock.phase == Phase.OpenMerge;
    }

    function _stakeFree(BountyId id, address account) private view returns (bool) {
        Phase phase = market.clock(id).phase;
        uint32 unlocksAt = market.provider(id, account).unlocksAt;
        if (phase == Phase.Cancelled) return true;
        if (this.time() < _heldUntil[BountyId.unwrap(id)]) return false;
        if (unlocksAt != 0 && this.time() >= unlocksAt) return true;
        return phase == Phase.Ended && this.time() >= _lastVestsAt[BountyId.unwrap(id)];
    }

    function _share(BountyId id, uint16 round) private view returns (uint256) {
        Terms memory terms = market.terms(id);
        (uint256 pot, uint256 rounds) = (terms.pot, terms.rounds);
        return pot * round / rounds - pot * (round - 1) / rounds;
    }

    /// @dev Cumulative payouts of the latest merged round, with a place for everyone who has joined since.
    function _before(uint256 bounty, BountyId id, Clock memory clock)
        private
        view
        returns (uint96[] memory cumulative)
    {
        cumulative = new uint96[](clock.memberCount);
        for (uint16 round = clock.round - 1; round > 0; --round) {
            if (market.mergeOf(id, round).vestsAt == 0) continue;
            uint96[] memory latest = _payouts[bounty][round];
            for (uint256 k = 0; k < latest.length; ++k) {
                cumulative[k] = latest[k];
            }
            break;
        }
    }

    function _leaves(uint256 bounty, uint96[] memory cumulative) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](cumulative.length);
        for (uint32 k = 0; k < leaves.length; ++k) {
            leaves[k] = ChunkTreeLib.payoutLeaf(k, _memberAt[bounty][k], cumulative[k]);
        }
    }

    function _updateRoot(uint16 round, address account) internal pure returns (bytes32) {
        return SumNode.unwrap(SumTreeLib.node(keccak256(abi.encode(round, account)), NORM));
    }

    function _commitment(BountyId id, uint16 round, address account) private view returns (bytes32) {
        return keccak256(
            abi.encode(block.chainid, address(market), id, round, account, _updateRoot(round, account), bytes32("salt"))
        );
    }
}
