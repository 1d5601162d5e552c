// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, MergeRecord, MergeRule, Phase, Reveal, Terms} from "./Types.sol";
import {Disputed, IFraudProofs, Opening, PayoutOpening} from "./interfaces/IFraudProofs.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {BitsLib} from "./libraries/BitsLib.sol";
import {ChunkTreeLib} from "./libraries/ChunkTreeLib.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {MergeRuleLib, Parameters} from "./libraries/MergeRuleLib.sol";
import {OpeningLib} from "./libraries/OpeningLib.sol";
import {SumNode, SumTreeLib} from "./libraries/SumTreeLib.sol";
import {TermsLib} from "./libraries/TermsLib.sol";

/// @title FraudProofs
/// @notice Judges merges by recomputing them from committed bytes. Holds no money and no power but to void a merge
/// that it has itself found wrong.
contract FraudProofs is IFraudProofs {
    using MergeLib for MergeRecord;
    using OpeningLib for bytes;

    /// @dev The codes of reasons that are about a chunk; smaller ones are about the file, greater ones don't exist.
    uint8 private constant WRONG_NORM = 5;
    uint8 private constant OUT_OF_RANGE = 6;

    /// @dev Not on the grid, which is symmetric.
    int256 private constant OFF_GRID = -32_768;

    uint256 private constant SCALE_BYTES = 3;

    /// @inheritdoc IFraudProofs
    ITrainingMarket public immutable market;

    /// @inheritdoc IFraudProofs
    mapping(BountyId bounty => mapping(uint16 round => bytes32)) public seedOf;

    /// @dev What every proof against a merge looks at.
    struct Case {
        BountyId bounty;
        uint16 round;
        Terms terms;
        Merge merged;
        Parameters parameters;
        uint256[] accepted; // reveal indices, rising; in bucket order once `_inBucketOrder` was called
    }

    constructor(ITrainingMarket newMarket) {
        market = newMarket;
    }

    // --- terms ---

    /// @inheritdoc IFraudProofs
    function checkTerms(Terms calldata terms) external view {
        TermsLib.validate(terms);
    }

    // --- drawing ---

    /// @inheritdoc IFraudProofs
    function draw(BountyId bounty, uint16 round) external {
        Clock memory clock = market.clock(bounty);
        // forge-lint: disable-next-line(tx-origin)
        require(msg.sender == tx.origin && msg.sender.code.length == 0, NotPlainAccount());
        require(clock.phase == Phase.Merge || clock.phase == Phase.OpenMerge, NotMerging());
        require(clock.round == round, NotMerging());
        require(seedOf[bounty][round] == 0, AlreadyDrawn());

        bytes32 seed = keccak256(abi.encode(block.prevrandao, bounty, round));
        seedOf[bounty][round] = seed;

        emit SeedDrawn(bounty, round, seed);
    }

    // --- states ---

    /// @inheritdoc IFraudProofs
    function proveCoordinate(
        Disputed calldata disputed,
        uint32 chunk,
        uint8 coordinate,
        Opening calldata beforehand,
        Opening calldata afterwards,
        bytes calldata updates,
        bytes calldata scales
    ) external {
        Case memory present = _open(disputed);
        require(coordinate < OpeningLib.COORDINATES, OutOfRange(coordinate, OpeningLib.COORDINATES));
        _checkStates(present, disputed, chunk, beforehand, afterwards);
        _inBucketOrder(present);
        _requireScales(present, disputed, scales);

        int256[] memory values = _values(present, coordinate, _openUpdates(present, chunk, updates), updates);
        (int256 follows, int256 followsPrevious) = MergeRuleLib.merge(
            present.terms.mergeRule,
            present.parameters,
            _accumulator(beforehand, coordinate),
            _previous(beforehand, coordinate),
            values,
            scales
        );
        (int256 claimed, int256 claimedPrevious) =
            (_accumulator(afterwards, coordinate), _previous(afterwards, coordinate));
        if (_planes(present) == 1) followsPrevious = 0;
        require(claimed != follows || claimedPrevious != followsPrevious, NoFault());

        emit CoordinateProven(
            disputed.bounty,
            disputed.round,
            chunk * OpeningLib.COORDINATES + coordinate,
            claimed,
            follows,
            claimedPrevious,
            followsPrevious
        );

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    // --- updates ---

    /// @inheritdoc IFraudProofs
    function proveLeaf(BountyId bounty, uint16 round, uint32 chunk, uint64 sum, Opening calldata leaf) external {
        uint256 chunks = market.terms(bounty).chunks;
        bytes32 root = _updateRoot(chunk, chunks, sum, leaf);
        require(_hasWrongSum(leaf.content, sum) || _isOffGrid(leaf.content), NoFault());

        market.disqualify(bounty, round, root, msg.sender);
    }

    /// @inheritdoc IFraudProofs
    function proveAcceptance(Disputed calldata disputed, bytes32 updateRoot) external {
        _open(disputed);
        Reveal memory shown = _reveal(disputed, updateRoot);
        require(disputed.record.rejected >> shown.index & 1 == 0, NotAccepted(shown.index));
        require(shown.disqualified, NoFault());

        emit AcceptanceProven(disputed.bounty, disputed.round, shown.index);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IFraudProofs
    function proveRejection(
        Disputed calldata disputed,
        bytes calldata reasons,
        bytes32 updateRoot,
        uint64 sum,
        Opening calldata leaf
    ) external {
        Case memory present = _open(disputed);
        Reveal memory shown = _reveal(disputed, updateRoot);
        require(keccak256(reasons) == disputed.record.reasonsHash, WrongPreimage());
        (uint8 code, uint32 chunk) = _reasonOf(disputed.record.rejected, reasons, shown.index);
        require(code == 0 || code >= WRONG_NORM, NotJudged(code));
        if ((code == WRONG_NORM || code == OUT_OF_RANGE) && chunk < present.terms.chunks) {
            require(!shown.disqualified, NoFault());
            bytes32 opened = _updateRoot(chunk, present.terms.chunks, sum, leaf);
            require(opened == updateRoot, WrongUpdate(0, opened));
            bool isFaulty = code == WRONG_NORM ? _hasWrongSum(leaf.content, sum) : _isOffGrid(leaf.content);
            require(!isFaulty, NoFault());
        }

        emit RejectionProven(disputed.bounty, disputed.round, shown.index, code);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    // --- payouts ---

    /// @inheritdoc IFraudProofs
    function provePayout(Disputed calldata disputed, PayoutOpening calldata payout, bytes32[] calldata updateRoots)
        external
    {
        Case memory present = _open(disputed);
        _requirePayouts(present.merged.payoutRoot, payout.seat, payout.account, payout.cumulative, payout.siblings);
        uint96 follows;
        if (_isPayoutPlace(disputed, payout)) {
            follows = _previousPayout(present, disputed, payout);
            (uint96[] memory earned, address[] memory providers) = _earnings(present, updateRoots);
            for (uint256 k = 0; k < earned.length; ++k) {
                if (providers[k] == payout.account) follows += earned[k];
            }
            require(payout.cumulative != follows, NoFault());
        }

        emit PayoutProven(disputed.bounty, disputed.round, payout.seat, payout.cumulative, follows);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IFraudProofs
    function provePaid(Disputed calldata disputed, bytes32[] calldata updateRoots) external {
        Case memory present = _open(disputed);
        (uint96[] memory earned, address[] memory providers) = _earnings(present, updateRoots);
        uint96 follows;
        // no leaf is ever taken away: its member would start at 0 again
        bool isComplete = present.merged.previous == 0 || disputed.previous.payoutLeaves <= disputed.record.payoutLeaves;
        for (uint256 k = 0; k < earned.length; ++k) {
            follows += earned[k];
            (, uint16 seat) = market.seatOf(disputed.bounty, providers[k]);
            if (seat >= disputed.record.payoutLeaves) isComplete = false;
        }
        require(follows != present.merged.paid || !isComplete, NoFault());

        emit PaidProven(disputed.bounty, disputed.round, present.merged.paid, follows);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    // --- clipping ---

    /// @inheritdoc IFraudProofs
    function proveScale(Disputed calldata disputed, uint256 pair, bytes calldata scales, bytes calldata distances)
        external
    {
        Case memory present = _openClipped(disputed, scales, distances);
        uint256 pairs = _pairs(present);
        if (scales.length == SCALE_BYTES * pairs && distances.length == 32 * pairs) {
            require(pair < pairs, OutOfRange(pair, pairs));
            uint256 scale = uint24(bytes3(scales[SCALE_BYTES * pair:SCALE_BYTES * (pair + 1)]));
            uint64 distance = SumTreeLib.sumOf(_distanceRoot(distances, pair));
            require(!MergeRuleLib.isScale(scale, distance, present.parameters.tau), NoFault());
        }

        emit ScaleProven(disputed.bounty, disputed.round, pair);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IFraudProofs
    function proveDistance(
        Disputed calldata disputed,
        uint256 pair,
        uint32 chunk,
        bytes calldata distances,
        Opening calldata distance,
        Opening calldata beforehand,
        bytes calldata updates,
        bytes calldata scales
    ) external {
        Case memory present = _openClipped(disputed, scales, distances);
        uint256 pairs = _pairs(present);
        require(pair < pairs && distances.length == 32 * pairs, OutOfRange(pair, pairs));
        OpeningLib.requireLength(distance.content, OpeningLib.SUM);
        uint64 claimed = distance.content.uint64At(0);
        OpeningLib.checkDistance(
            SumNode.unwrap(_distanceRoot(distances, pair)), chunk, present.terms.chunks, claimed, distance.siblings
        );
        _checkBefore(present, disputed, chunk, beforehand);
        _inBucketOrder(present);
        require(_distance(present, pair, chunk, beforehand, updates, scales) != claimed, NoFault());

        emit DistanceProven(disputed.bounty, disputed.round, pair, chunk);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IFraudProofs
    function proveUndrawn(Disputed calldata disputed) external {
        Case memory present = _open(disputed);
        require(_needsSeed(present) && seedOf[disputed.bounty][disputed.round] == 0, NoFault());

        emit UndrawnProven(disputed.bounty, disputed.round);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    // --- cases ---

    /// @dev The case of a merge whose records were given.
    function _open(Disputed calldata disputed) private view returns (Case memory present) {
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
        private
        view
        returns (Case memory present)
    {
        present = _open(disputed);
        require(present.terms.mergeRule == MergeRule.CenteredClip, WrongRule());
        require(keccak256(scales) == disputed.record.scalesHash, WrongPreimage());
        require(keccak256(distances) == disputed.record.distancesHash, WrongPreimage());
    }

    function _acceptedOf(uint256 rejected, uint16 reveals) private pure returns (uint256[] memory accepted) {
        accepted = new uint256[](MergeLib.acceptedCount(rejected, reveals));
        uint256 count;
        for (uint256 index = 0; index < reveals; ++index) {
            if (rejected >> index & 1 == 0) accepted[count++] = index;
        }
    }

    function _planes(Case memory present) private pure returns (uint256) {
        return MergeRuleLib.planes(present.terms.mergeRule, present.parameters);
    }

    // --- states, opened ---

    function _checkStates(
        Case memory present,
        Disputed calldata disputed,
        uint32 chunk,
        Opening calldata beforehand,
        Opening calldata afterwards
    ) private pure {
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
        private
        pure
    {
        require(chunk < present.terms.chunks, OutOfRange(chunk, present.terms.chunks));
        bytes32 root = present.merged.previous == 0 ? present.terms.stateRoot : disputed.previous.stateRoot;
        OpeningLib.checkState(
            root, chunk, present.terms.chunks, _planes(present), beforehand.content, beforehand.siblings
        );
    }

    function _accumulator(Opening calldata state, uint256 coordinate) private pure returns (int256) {
        return state.content.int32At(4 * coordinate);
    }

    /// @dev 0 where the state has one plane.
    function _previous(Opening calldata state, uint256 coordinate) private pure returns (int256) {
        uint256 at = 4 * (OpeningLib.COORDINATES + coordinate);
        return at < state.content.length ? state.content.int32At(at) : int256(0);
    }

    // --- updates, opened ---

    /// @dev Check the packed chunks of all of `present.accepted`, in this order; gives the bytes that each takes.
    function _openUpdates(Case memory present, uint32 chunk, bytes calldata updates)
        private
        view
        returns (uint256 stride)
    {
        stride = OpeningLib.UPDATE_CHUNK + OpeningLib.SUM + 32 * ChunkTreeLib.depthOf(present.terms.chunks);
        uint256 count = present.accepted.length;
        require(updates.length == count * stride, WrongUpdateCount(updates.length / stride, count));
        for (uint256 k = 0; k < count; ++k) {
            bytes calldata packed = updates[k * stride:(k + 1) * stride];
            bytes32 root = OpeningLib.updateRoot(
                chunk,
                packed[:OpeningLib.UPDATE_CHUNK],
                packed.uint64At(OpeningLib.UPDATE_CHUNK),
                packed[OpeningLib.UPDATE_CHUNK + OpeningLib.SUM:]
            );
            Reveal memory shown = market.revealOf(present.bounty, present.round, root);
            require(shown.provider != address(0) && shown.index == present.accepted[k], WrongUpdate(k, root));
        }
    }

    function _values(Case memory present, uint256 coordinate, uint256 stride, bytes calldata updates)
        private
        pure
        returns (int256[] memory values)
    {
        values = new int256[](present.accepted.length);
        for (uint256 k = 0; k < values.length; ++k) {
            values[k] = updates.int16At(k * stride + 2 * coordinate);
        }
    }

    function _updateRoot(uint32 chunk, uint256 chunks, uint64 sum, Opening calldata leaf)
        private
        pure
        returns (bytes32)
    {
        require(chunk < chunks, OutOfRange(chunk, chunks));
        OpeningLib.requireLength(leaf.content, OpeningLib.UPDATE_CHUNK);
        OpeningLib.requireDepth(leaf.siblings, chunks);
        return OpeningLib.updateRoot(chunk, leaf.content, sum, leaf.siblings);
    }

    function _hasWrongSum(bytes calldata chunk, uint64 sum) private pure returns (bool) {
        return SumTreeLib.squaredNorm(chunk) != sum;
    }

    function _isOffGrid(bytes calldata chunk) private pure returns (bool) {
        for (uint256 at = 0; at < chunk.length; at += 2) {
            if (chunk.int16At(at) == OFF_GRID) return true;
        }
        return false;
    }

    function _reveal(Disputed calldata disputed, bytes32 updateRoot) private view returns (Reveal memory shown) {
        shown = market.revealOf(disputed.bounty, disputed.round, updateRoot);
        require(shown.provider != address(0), WrongUpdate(0, updateRoot));
    }

    function _reasonOf(uint256 rejected, bytes calldata reasons, uint16 index)
        private
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
        private
        pure
    {
        bytes28 opened = OpeningLib.payoutRoot(seat, account, cumulative, siblings);
        require(opened == root, OpeningLib.NotInTree(root));
    }

    /// @dev Whether there is to be a leaf at this place, and for this account.
    function _isPayoutPlace(Disputed calldata disputed, PayoutOpening calldata payout) private view returns (bool) {
        uint16 leaves = disputed.record.payoutLeaves;
        (bool joined, uint16 index) = market.seatOf(disputed.bounty, payout.account);
        return joined && index == payout.seat && payout.seat < leaves
            && payout.siblings.length == 32 * ChunkTreeLib.depthOf(leaves);
    }

    /// @dev What the account had before this merge.
    function _previousPayout(Case memory present, Disputed calldata disputed, PayoutOpening calldata payout)
        private
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

    /// @dev What each accepted update earns, and its provider.
    function _earnings(Case memory present, bytes32[] calldata updateRoots)
        private
        view
        returns (uint96[] memory earned, address[] memory providers)
    {
        uint256 count = present.accepted.length;
        require(updateRoots.length == count, WrongUpdateCount(updateRoots.length, count));
        (earned, providers) = (new uint96[](count), new address[](count));
        uint256 total;
        for (uint256 k = 0; k < count; ++k) {
            Reveal memory shown = market.revealOf(present.bounty, present.round, updateRoots[k]);
            require(shown.provider != address(0) && shown.index == present.accepted[k], WrongUpdate(k, updateRoots[k]));
            (providers[k], earned[k]) = (shown.provider, shown.weight);
            total += shown.weight;
        }
        uint256 share = _share(present);
        for (uint256 k = 0; k < count; ++k) {
            earned[k] = uint96(share * earned[k] / total);
        }
    }

    function _share(Case memory present) private pure returns (uint256) {
        (uint256 pot, uint256 rounds) = (present.terms.pot, present.terms.rounds);
        return pot * present.round / rounds - pot * (present.round - 1) / rounds;
    }

    // --- clipping, recomputed ---

    function _needsSeed(Case memory present) private pure returns (bool) {
        return present.terms.mergeRule == MergeRule.CenteredClip && present.parameters.bucket > 1;
    }

    function _inBucketOrder(Case memory present) private view {
        if (_needsSeed(present)) MergeRuleLib.bucketOrder(present.accepted, seedOf[present.bounty][present.round]);
    }

    /// @dev Buckets times iterations.
    function _pairs(Case memory present) private pure returns (uint256) {
        uint256 bucket = present.parameters.bucket;
        return (present.accepted.length + bucket - 1) / bucket * present.parameters.iterations;
    }

    function _requireScales(Case memory present, Disputed calldata disputed, bytes calldata scales) private pure {
        if (present.terms.mergeRule != MergeRule.CenteredClip) return;
        require(keccak256(scales) == disputed.record.scalesHash, WrongPreimage());
        uint256 expected = SCALE_BYTES * _pairs(present);
        OpeningLib.requireLength(scales, expected);
    }

    function _distanceRoot(bytes calldata distances, uint256 pair) private pure returns (SumNode) {
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
    ) private view returns (uint256 sum) {
        uint256 pairsEach = _pairs(present) / present.parameters.iterations;
        (uint256 bucket, uint256 iteration) = (pair % pairsEach, pair / pairsEach);
        if (iteration == 0) {
            present.accepted = _bucketOf(present, bucket);
            bucket = 0;
        } else {
            OpeningLib.requireLength(scales, SCALE_BYTES * _pairs(present));
        }
        uint256 stride = _openUpdates(present, chunk, updates);
        for (uint256 coordinate = 0; coordinate < OpeningLib.COORDINATES; ++coordinate) {
            sum += MergeRuleLib.distanceTerm(
                present.parameters,
                _previous(beforehand, coordinate),
                _values(present, coordinate, stride, updates),
                scales,
                bucket,
                iteration
            );
        }
    }

    function _bucketOf(Case memory present, uint256 bucket) private pure returns (uint256[] memory members) {
        (uint256 size, uint256 start) = (present.parameters.bucket, bucket * present.parameters.bucket);
        uint256 left = present.accepted.length - start;
        members = new uint256[](left < size ? left : size);
        for (uint256 k = 0; k < members.length; ++k) {
            members[k] = present.accepted[start + k];
        }
    }
}
