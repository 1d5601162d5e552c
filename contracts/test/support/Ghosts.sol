// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, Phase, Provider, RewardRule, Terms} from "../../src/Types.sol";
import {ITrainingMarket} from "../../src/interfaces/ITrainingMarket.sol";
import {ChunkTreeLib} from "../../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../../src/libraries/SumTreeLib.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";

/// @notice The model of three bounties of one token: ghosts count, apart from the contract, what came in, went out and was
/// allocated, and say what is due.
abstract contract Ghosts is Test {
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
    mapping(uint256 bounty => mapping(uint16 round => address[])) internal _revealed; // by reveal index
    mapping(uint256 bounty => mapping(uint16 round => uint96[])) internal _payouts; // of standing merges, by member index
    mapping(uint256 bounty => mapping(uint256 index => address)) internal _memberAt;

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
    function _forfeitDue(BountyId id, address account) internal view returns (bool) {
        if (market.commitmentOf(id, account) == 0) return false;
        Clock memory clock = market.clock(id);
        uint16 round = market.provider(id, account).commitRound;
        if (interrupted[BountyId.unwrap(id)][round]) return false;
        if (round != clock.round) return true;
        if (clock.phase == Phase.Ended) return clock.commits >= market.terms(id).minUpdates;
        return clock.phase == Phase.Merge || clock.phase == Phase.OpenMerge;
    }

    function _stakeFree(BountyId id, address account) internal view returns (bool) {
        Phase phase = market.clock(id).phase;
        uint32 unlocksAt = market.provider(id, account).unlocksAt;
        if (phase == Phase.Cancelled) return true;
        if (this.time() < _heldUntil[BountyId.unwrap(id)]) return false;
        if (unlocksAt != 0 && this.time() >= unlocksAt) return true;
        return phase == Phase.Ended && this.time() >= _lastVestsAt[BountyId.unwrap(id)];
    }

    function _share(BountyId id, uint16 round) internal view returns (uint256) {
        Terms memory terms = market.terms(id);
        (uint256 pot, uint256 rounds) = (terms.pot, terms.rounds);
        return pot * round / rounds - pot * (round - 1) / rounds;
    }

    /// @dev Cumulative payouts of the latest merged round, with a place for everyone who has joined since.
    function _before(uint256 bounty, BountyId id, Clock memory clock)
        internal
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

    function _commitment(BountyId id, uint16 round, address account) internal view returns (bytes32) {
        return keccak256(
            abi.encode(block.chainid, address(market), id, round, account, _updateRoot(round, account), bytes32("salt"))
        );
    }

    function _refused(address account, bytes memory call, string memory what) internal {
        vm.prank(account);
        (bool done,) = address(market).call(call);
        assertTrue(!done, what);
    }
}
