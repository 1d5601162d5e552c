// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, Clock, Merge, MergeRecord, Phase, Reveal, Terms} from "./Types.sol";
import {Disputed, IFraudProofs, Opening, PayoutOpening} from "./interfaces/IFraudProofs.sol";
import {Cases} from "./Cases.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {MergeRuleLib} from "./libraries/MergeRuleLib.sol";
import {OpeningLib} from "./libraries/OpeningLib.sol";
import {RevealWord} from "./libraries/RevealLib.sol";
import {SumNode, SumTreeLib} from "./libraries/SumTreeLib.sol";
import {TermsLib} from "./libraries/TermsLib.sol";

/// @title FraudProofs
/// @notice Judges merges by recomputing them from committed bytes. Holds no money and no power but to void a merge
/// that it has itself found wrong.
contract FraudProofs is Cases, IFraudProofs {
    using MergeLib for MergeRecord;
    using OpeningLib for bytes;

    /// @dev The codes of reasons that are about a chunk; smaller ones are about the file, greater ones don't exist.
    uint8 private constant WRONG_NORM = 5;
    uint8 private constant OUT_OF_RANGE = 6;
    uint8 private constant LAST_REASON = 11; // 1 to 4 are about files, 7 to 10 about whole updates, 11 about a group

    /// @inheritdoc IFraudProofs
    address public immutable masks;

    /// @inheritdoc IFraudProofs
    mapping(BountyId bounty => mapping(uint16 round => bytes32)) public seedOf;

    constructor(ITrainingMarket newMarket, address newMasks) Cases(newMarket) {
        masks = newMasks;
    }

    // --- terms ---

    /// @inheritdoc IFraudProofs
    function checkTerms(Terms calldata terms) external view {
        TermsLib.validate(terms);
    }

    // --- masked updates ---

    /// @inheritdoc IFraudProofs
    function voidFor(BountyId bounty, uint16 round, address prover) external {
        require(msg.sender == masks, NotMasks());

        market.voidMerge(bounty, round, prover);
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
        require(!_isMasked(present.terms), WrongMode());
        require(MergeRuleLib.isProvable(present.terms.mergeRule), WrongRule());
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
        Terms memory terms = market.terms(bounty);
        require(!_isMasked(terms), WrongMode());
        bytes32 root = _updateRoot(chunk, terms.chunks, sum, leaf);
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
        bool isOfChunk = code == WRONG_NORM || code == OUT_OF_RANGE;
        require(isOfChunk || code == 0 || code > LAST_REASON, NotJudged(code));
        // a masked chunk can't have these faults
        if (isOfChunk && !_isMasked(present.terms) && chunk < present.terms.chunks) {
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
        uint96 follows = 0;
        if (_isPayoutPlace(disputed, payout)) {
            follows = _previousPayout(present, disputed, payout) + _earned(present, updateRoots, payout.account);
            require(payout.cumulative != follows, NoFault());
        }

        emit PayoutProven(disputed.bounty, disputed.round, payout.seat, payout.cumulative, follows);

        market.voidMerge(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IFraudProofs
    function provePaid(Disputed calldata disputed, bytes32[] calldata updateRoots, address leafless) external {
        Case memory present = _open(disputed);
        RevealWord[] memory shown = _acceptedReveals(present, updateRoots);
        uint256 follows = _allEarned(present, shown);
        // no leaf is ever taken away: its member would start at 0 again
        bool isComplete = present.merged.previous == 0 || disputed.previous.payoutLeaves <= disputed.record.payoutLeaves;
        if (!_paysByContribution(present) && _isLeafless(disputed, shown, leafless)) isComplete = false;
        require(follows != present.merged.paid || !isComplete, NoFault());

        emit PaidProven(disputed.bounty, disputed.round, present.merged.paid, uint96(follows));

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
        if (!OpeningLib.hasStray(distance.siblings, chunk, present.terms.chunks)) {
            require(_distance(present, pair, chunk, beforehand, updates, scales) != claimed, NoFault());
        }

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

    // --- internal ---

    function _inBucketOrder(Case memory present) private view {
        if (_needsSeed(present)) MergeRuleLib.bucketOrder(present.accepted, seedOf[present.bounty][present.round]);
    }
}
