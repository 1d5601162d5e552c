// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Merge, MergeRecord, MergeRule, PrivacyMode, Reveal, RewardRule, Terms} from "./Types.sol";
import {Disputed, ICases, Opening} from "./interfaces/ICases.sol";
import {PayoutOpening} from "./interfaces/IFraudProofs.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {BitsLib} from "./libraries/BitsLib.sol";
import {ChunkTreeLib} from "./libraries/ChunkTreeLib.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {MergeRuleLib, Parameters} from "./libraries/MergeRuleLib.sol";
import {OpeningLib} from "./libraries/OpeningLib.sol";
import {RevealWord} from "./libraries/RevealLib.sol";
import {SumNode, SumTreeLib} from "./libraries/SumTreeLib.sol";

/// @title Cases
/// @notice What proofs are made of: the records of a merge, chunks of its states and updates, pay and distances computed
/// again. Nothing here decides.
abstract contract Cases is ICases {
    using MergeLib for MergeRecord;
    using OpeningLib for bytes;

    /// @dev Not on the grid, which is symmetric.
    int256 private constant OFF_GRID = -32_768;

    uint256 internal constant SCALE_BYTES = 3;

    /// @inheritdoc ICases
    ITrainingMarket public immutable market;

    /// @dev What every proof against a merge looks at.
    struct Case {
        BountyId bounty;
        uint16 round;
        Terms terms;
        Merge merged;
        Parameters parameters;
        uint256[] accepted; // reveal indices, rising; in bucket order where a proof put them into it
    }

    constructor(ITrainingMarket newMarket) {
        market = newMarket;
    }

    // --- cases ---

    /// @dev The case of a merge whose records were given.
    function _open(Disputed calldata disputed) internal view returns (Case memory present) {
        (present.bounty, present.round) = (disputed.bounty, disputed.round);
        present.merged = market.mergeOf(disputed.bounty, disputed.round);
        require(present.merged.aggregator != address(0), NoMerge());
        require(disputed.record.hash() == present.merged.recordHash, WrongRecord(disputed.round));
        uint16 previous = present.merged.previous;
        if (previous != 0) {
            bytes28 recorded = market.mergeOf(disputed.bounty, previous).recordHash;
            require(disputed.previous.hash() == recorded, WrongRecord(previous));
        }
        present.terms = market.terms(disputed.bounty);
        present.parameters = MergeRuleLib.unpack(present.terms.mergeParameters);
        present.accepted = _acceptedOf(disputed.record.rejected, present.merged.reveals);
    }

    function _openClipped(Disputed calldata disputed, bytes calldata scales, bytes calldata distances)
        internal
        view
        returns (Case memory present)
    {
        present = _open(disputed);
        require(present.terms.mergeRule == MergeRule.CenteredClip, WrongRule());
        require(keccak256(scales) == disputed.record.scalesHash, WrongPreimage());
        require(keccak256(distances) == disputed.record.distancesHash, WrongPreimage());
    }

    function _acceptedOf(uint256 rejected, uint16 reveals) internal pure returns (uint256[] memory accepted) {
        accepted = new uint256[](MergeLib.acceptedCount(rejected, reveals));
        uint256 count = 0;
        for (uint256 index = 0; index < reveals; ++index) {
            if (rejected >> index & 1 == 0) accepted[count++] = index;
        }
    }

    function _isMasked(Terms memory terms) internal pure returns (bool) {
        return terms.privacy == PrivacyMode.Masked;
    }

    function _planes(Case memory present) internal pure returns (uint256) {
        return MergeRuleLib.planes(present.terms.mergeRule, present.parameters);
    }

    // --- states, opened ---

    function _checkStates(
        Case memory present,
        Disputed calldata disputed,
        uint32 chunk,
        Opening calldata beforehand,
        Opening calldata afterwards
    ) internal pure {
        _checkBefore(present, disputed, chunk, beforehand);
        OpeningLib.checkState(
            disputed.record.stateRoot,
            chunk,
            present.terms.chunks,
            _planes(present),
            afterwards.content,
            afterwards.siblings
        );
    }

    function _checkBefore(Case memory present, Disputed calldata disputed, uint32 chunk, Opening calldata beforehand)
        internal
        pure
    {
        require(chunk < present.terms.chunks, OutOfRange(chunk, present.terms.chunks));
        bytes32 root = present.merged.previous == 0 ? present.terms.stateRoot : disputed.previous.stateRoot;
        OpeningLib.checkState(
            root, chunk, present.terms.chunks, _planes(present), beforehand.content, beforehand.siblings
        );
    }

    function _accumulator(Opening calldata state, uint256 coordinate) internal pure returns (int256) {
        return state.content.int32At(4 * coordinate);
    }

    /// @dev 0 where the state has one plane.
    function _previous(Opening calldata state, uint256 coordinate) internal pure returns (int256) {
        uint256 at = 4 * (OpeningLib.COORDINATES + coordinate);
        return at < state.content.length ? state.content.int32At(at) : int256(0);
    }

    // --- updates, opened ---

    /// @dev Check the packed chunks of all of `present.accepted`, in this order; gives the bytes that each takes.
    function _openUpdates(Case memory present, uint32 chunk, bytes calldata updates)
        internal
        view
        returns (uint256 stride)
    {
        stride = OpeningLib.UPDATE_CHUNK + OpeningLib.SUM + 32 * ChunkTreeLib.depthOf(present.terms.chunks);
        uint256 count = present.accepted.length;
        require(updates.length == count * stride, WrongUpdateCount(updates.length / stride, count));
        bytes32[] memory roots = new bytes32[](count);
        for (uint256 k = 0; k < count; ++k) {
            bytes calldata packed = updates[k * stride:(k + 1) * stride];
            roots[k] = OpeningLib.updateRoot(
                chunk,
                packed[:OpeningLib.UPDATE_CHUNK],
                packed.uint64At(OpeningLib.UPDATE_CHUNK),
                packed[OpeningLib.UPDATE_CHUNK + OpeningLib.SUM:]
            );
        }
        _acceptedReveals(present, roots);
    }

    /// @dev What the chain has of `present.accepted`, whose roots were given in this order.
    function _acceptedReveals(Case memory present, bytes32[] memory roots)
        internal
        view
        returns (RevealWord[] memory shown)
    {
        require(roots.length == present.accepted.length, WrongUpdateCount(roots.length, present.accepted.length));
        shown = market.revealsOf(present.bounty, present.round, roots);
        for (uint256 k = 0; k < roots.length; ++k) {
            bool isThere = shown[k].provider() != address(0) && shown[k].index() == present.accepted[k];
            require(isThere, WrongUpdate(k, roots[k]));
        }
    }

    function _values(Case memory present, uint256 coordinate, uint256 stride, bytes calldata updates)
        internal
        pure
        returns (int256[] memory values)
    {
        values = new int256[](present.accepted.length);
        _read(values, coordinate, stride, updates);
    }

    /// @dev One coordinate of each chunk of `updates`, which `_openUpdates` has checked.
    function _read(int256[] memory values, uint256 coordinate, uint256 stride, bytes calldata updates) private pure {
        unchecked {
            for (uint256 k = 0; k < values.length; ++k) {
                values[k] = updates.int16At(k * stride + 2 * coordinate);
            }
        }
    }

    function _updateRoot(uint32 chunk, uint256 chunks, uint64 sum, Opening calldata leaf)
        internal
        pure
        returns (bytes32)
    {
        require(chunk < chunks, OutOfRange(chunk, chunks));
        OpeningLib.requireLength(leaf.content, OpeningLib.UPDATE_CHUNK);
        OpeningLib.requireDepth(leaf.siblings, chunks);
        return OpeningLib.updateRoot(chunk, leaf.content, sum, leaf.siblings);
    }

    function _hasWrongSum(bytes calldata chunk, uint64 sum) internal pure returns (bool) {
        return SumTreeLib.squaredNorm(chunk) != sum;
    }

    function _isOffGrid(bytes calldata chunk) internal pure returns (bool) {
        for (uint256 at = 0; at < chunk.length; at += 2) {
            if (chunk.int16At(at) == OFF_GRID) return true;
        }
        return false;
    }

    function _reveal(Disputed calldata disputed, bytes32 updateRoot) internal view returns (Reveal memory shown) {
        shown = market.revealOf(disputed.bounty, disputed.round, updateRoot);
        require(shown.provider != address(0), WrongUpdate(0, updateRoot));
    }

    function _reasonOf(uint256 rejected, bytes calldata reasons, uint16 index)
        internal
        pure
        returns (uint8 code, uint32 chunk)
    {
        require(rejected >> index & 1 == 1, NotRejected(index));
        uint256 at = MergeLib.REASON_BYTES * BitsLib.countOnes(rejected & (1 << index) - 1);
        uint32 reason = uint32(bytes4(reasons[at:at + MergeLib.REASON_BYTES]));
        return (uint8(reason >> 24), reason & 0xffffff);
    }

    // --- payouts, recomputed ---

    function _requirePayouts(bytes28 root, uint256 seat, address account, uint96 cumulative, bytes calldata siblings)
        internal
        pure
    {
        bytes28 opened = OpeningLib.payoutRoot(seat, account, cumulative, siblings);
        require(opened == root, OpeningLib.NotInTree(root));
    }

    /// @dev Whether there is to be a leaf at this place, and for this account.
    function _isPayoutPlace(Disputed calldata disputed, PayoutOpening calldata payout) internal view returns (bool) {
        uint16 leaves = disputed.record.payoutLeaves;
        (bool joined, uint16 index) = market.seatOf(disputed.bounty, payout.account);
        return joined && index == payout.seat && payout.seat < leaves
            && payout.siblings.length == 32 * ChunkTreeLib.depthOf(leaves)
            && !OpeningLib.hasStray(payout.siblings, payout.seat, leaves);
    }

    /// @dev Whether the account revealed one of these updates and has no leaf.
    function _isLeafless(Disputed calldata disputed, RevealWord[] memory shown, address account)
        internal
        view
        returns (bool)
    {
        for (uint256 k = 0; k < shown.length; ++k) {
            if (shown[k].provider() == account) return !_hasLeaf(disputed, account);
        }
        return false;
    }

    function _hasLeaf(Disputed calldata disputed, address account) internal view returns (bool) {
        (bool joined, uint16 seat) = market.seatOf(disputed.bounty, account);
        return joined && seat < disputed.record.payoutLeaves;
    }

    /// @dev What the account had before this merge.
    function _previousPayout(Case memory present, Disputed calldata disputed, PayoutOpening calldata payout)
        internal
        view
        returns (uint96)
    {
        uint16 previous = present.merged.previous;
        if (previous == 0 || payout.seat >= disputed.previous.payoutLeaves) return 0;
        _requirePayouts(
            market.mergeOf(disputed.bounty, previous).payoutRoot,
            payout.seat,
            payout.account,
            payout.previousCumulative,
            payout.previousSiblings
        );
        return payout.previousCumulative;
    }

    /// @dev What a share is divided by: all weight that was accepted, but never less than a quorum of updates has at
    /// least. So who leaves others out for reasons that no contract can judge makes nobody's part greater than that.
    function _divisor(Case memory present, RevealWord[] memory shown) internal pure returns (uint256 divisor) {
        for (uint256 k = 0; k < shown.length; ++k) {
            divisor += shown[k].weight();
        }
        if (divisor < present.terms.minUpdates) divisor = present.terms.minUpdates;
    }

    /// @dev What all payout leaves together gain by the round.
    function _allEarned(Case memory present, RevealWord[] memory shown) internal pure returns (uint256 all) {
        (uint256 share, uint256 divisor) = (_share(present), _divisor(present, shown));
        if (_paysByContribution(present)) return share * shown.length / divisor; // each weighs 1
        for (uint256 k = 0; k < shown.length; ++k) {
            all += share * shown[k].weight() / divisor;
        }
    }

    /// @dev What `account` earns by its update, of which a round has one at most.
    function _earned(Case memory present, bytes32[] calldata updateRoots, address account)
        internal
        view
        returns (uint96)
    {
        if (_paysByContribution(present)) return 0;
        RevealWord[] memory shown = _acceptedReveals(present, updateRoots);
        for (uint256 k = 0; k < shown.length; ++k) {
            if (shown[k].provider() == account) {
                return uint96(_share(present) * shown[k].weight() / _divisor(present, shown));
            }
        }
        return 0;
    }

    /// @dev Then the round's share is released as a whole, and no leaf ever grows.
    function _paysByContribution(Case memory present) internal pure returns (bool) {
        return present.terms.rewardRule == RewardRule.Contribution;
    }

    function _share(Case memory present) internal pure returns (uint256) {
        (uint256 pot, uint256 rounds) = (present.terms.pot, present.terms.rounds);
        return pot * present.round / rounds - pot * (present.round - 1) / rounds;
    }

    // --- clipping, recomputed ---

    function _needsSeed(Case memory present) internal pure returns (bool) {
        return present.terms.mergeRule == MergeRule.CenteredClip && present.parameters.bucket > 1;
    }

    /// @dev Buckets times iterations.
    function _pairs(Case memory present) internal pure returns (uint256) {
        uint256 bucket = present.parameters.bucket;
        return (present.accepted.length + bucket - 1) / bucket * present.parameters.iterations;
    }

    function _requireScales(Case memory present, Disputed calldata disputed, bytes calldata scales) internal pure {
        if (present.terms.mergeRule != MergeRule.CenteredClip) return;
        require(keccak256(scales) == disputed.record.scalesHash, WrongPreimage());
        uint256 expected = SCALE_BYTES * _pairs(present);
        OpeningLib.requireLength(scales, expected);
    }

    function _distanceRoot(bytes calldata distances, uint256 pair) internal pure returns (SumNode) {
        return SumNode.wrap(bytes32(distances[32 * pair:32 * (pair + 1)]));
    }

    /// @dev The squared distance of one bucket's chunk. Before the first iteration no other bucket matters.
    function _distance(
        Case memory present,
        uint256 pair,
        uint32 chunk,
        Opening calldata beforehand,
        bytes calldata updates,
        bytes calldata scales
    ) internal view returns (uint256 sum) {
        uint256 pairsEach = _pairs(present) / present.parameters.iterations;
        (uint256 bucket, uint256 iteration) = (pair % pairsEach, pair / pairsEach);
        if (iteration == 0) {
            present.accepted = _bucketOf(present, bucket);
            bucket = 0;
        } else {
            OpeningLib.requireLength(scales, SCALE_BYTES * _pairs(present));
        }
        uint256 stride = _openUpdates(present, chunk, updates);
        // memory is taken once, not for each coordinate: its price grows with the square
        (int256[] memory values, bytes memory copied) = (new int256[](present.accepted.length), scales);
        for (uint256 coordinate = 0; coordinate < OpeningLib.COORDINATES; ++coordinate) {
            _read(values, coordinate, stride, updates);
            sum += MergeRuleLib.distanceTerm(
                present.parameters, _previous(beforehand, coordinate), values, copied, bucket, iteration
            );
        }
    }

    function _bucketOf(Case memory present, uint256 bucket) internal pure returns (uint256[] memory members) {
        (uint256 size, uint256 start) = (present.parameters.bucket, bucket * present.parameters.bucket);
        uint256 left = present.accepted.length - start;
        members = new uint256[](left < size ? left : size);
        for (uint256 k = 0; k < members.length; ++k) {
            members[k] = present.accepted[start + k];
        }
    }
}
