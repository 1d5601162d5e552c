// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRule} from "./Types.sol";
import {Disputed, Opening} from "./interfaces/ICases.sol";
import {IFraudProofs} from "./interfaces/IFraudProofs.sol";
import {IMaskBoard} from "./interfaces/IMaskBoard.sol";
import {IMaskProofs} from "./interfaces/IMaskProofs.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {Cases} from "./Cases.sol";
import {MaskBoard} from "./MaskBoard.sol";
import {ChunkTreeLib} from "./libraries/ChunkTreeLib.sol";
import {MaskLib} from "./libraries/MaskLib.sol";
import {MergeRuleLib} from "./libraries/MergeRuleLib.sol";
import {OpeningLib} from "./libraries/OpeningLib.sol";
import {RevealWord} from "./libraries/RevealLib.sol";

/// @title MaskProofs
/// @notice Judges merges of masked updates by taking the masks away again. Holds no money and no power but to have a
/// merge voided that it has itself found wrong.
contract MaskProofs is Cases, IMaskProofs {
    using OpeningLib for bytes;

    /// @inheritdoc IMaskProofs
    IFraudProofs public immutable proofs;

    /// @inheritdoc IMaskProofs
    IMaskBoard public immutable board = new MaskBoard();

    constructor(ITrainingMarket newMarket, IFraudProofs newProofs) Cases(newMarket) {
        proofs = newProofs;
    }

    // --- states ---

    /// @inheritdoc IMaskProofs
    function proveMaskedCoordinate(
        Disputed calldata disputed,
        uint32 chunk,
        uint8 coordinate,
        Opening calldata beforehand,
        Opening calldata afterwards,
        bytes calldata updates,
        bytes calldata table
    ) external {
        Case memory present = _openMasked(disputed, table);
        require(coordinate < OpeningLib.COORDINATES, OutOfRange(coordinate, OpeningLib.COORDINATES));
        _checkStates(present, disputed, chunk, beforehand, afterwards);
        uint32[] memory values = _maskedValues(present, chunk, coordinate, updates);
        (int256 follows, int256 followsPrevious) = MergeRuleLib.mergeMeans(
            present.terms.mergeRule,
            present.parameters,
            _accumulator(beforehand, coordinate),
            _previous(beforehand, coordinate),
            _means(present, table, chunk * OpeningLib.COORDINATES + coordinate, values)
        );
        (int256 claimed, int256 claimedPrevious) =
            (_accumulator(afterwards, coordinate), _previous(afterwards, coordinate));
        require(claimed != follows || claimedPrevious != followsPrevious, NoFault());

        emit MaskedCoordinateProven(
            disputed.bounty,
            disputed.round,
            chunk * OpeningLib.COORDINATES + coordinate,
            claimed,
            follows,
            claimedPrevious,
            followsPrevious
        );

        proofs.voidFor(disputed.bounty, disputed.round, msg.sender);
    }

    // --- the table ---

    /// @inheritdoc IMaskProofs
    function proveTable(Disputed calldata disputed, bytes calldata table) external {
        Case memory present = _openMasked(disputed, table);
        (bool isWellFormed,,) = MaskLib.read(table, present.accepted.length);
        require(!isWellFormed, NoFault());

        emit TableProven(disputed.bounty, disputed.round);

        proofs.voidFor(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IMaskProofs
    function proveSeed(
        Disputed calldata disputed,
        uint256 position,
        uint256 mask,
        bytes32 updateRoot,
        Opening calldata keys,
        bytes calldata table
    ) external {
        Case memory present = _openMasked(disputed, table);
        (uint256[] memory rows,) = _rows(present, table);
        _checkKeys(present, position, updateRoot, keys);
        uint256 index = _reveal(disputed, updateRoot).index;
        require(index == present.accepted[position], WrongUpdate(position, updateRoot));
        uint256 masks = MaskLib.maskCount(table, rows[position]);
        require(mask < masks, OutOfRange(mask, masks));
        (uint256 slot, uint256 sign, bytes32 seed) = MaskLib.maskAt(table, rows[position], mask);
        uint256 peers = MaskLib.peerCount(keys.content);
        // a mask of a peer that is not there is for `proveMasks`
        require(slot < peers || slot == MaskLib.SELF, OutOfRange(slot, peers));
        (bytes32 hash, bool subtracted) = MaskLib.commitmentAt(keys.content, slot);
        require(keccak256(abi.encode(seed)) != hash || (sign == 1) != subtracted, NoFault());

        emit SeedProven(disputed.bounty, disputed.round, position, slot);

        proofs.voidFor(disputed.bounty, disputed.round, msg.sender);
    }

    /// @inheritdoc IMaskProofs
    function proveMasks(
        Disputed calldata disputed,
        uint256 position,
        bytes32[] calldata updateRoots,
        Opening calldata keys,
        bytes calldata table
    ) external {
        Case memory present = _openMasked(disputed, table);
        (uint256[] memory rows,) = _rows(present, table);
        uint256[] memory members = _members(present, updateRoots);
        _checkKeys(present, position, updateRoots[position], keys);
        require(
            !MaskLib.isKeyLeaf(keys.content, members[position])
                || !MaskLib.areRightMasks(table, rows, members, position, keys.content),
            NoFault()
        );

        emit MasksProven(disputed.bounty, disputed.round, position);

        proofs.voidFor(disputed.bounty, disputed.round, msg.sender);
    }

    // --- internal ---

    function _openMasked(Disputed calldata disputed, bytes calldata table) private view returns (Case memory present) {
        present = _open(disputed);
        require(_isMasked(present.terms), WrongMode());
        require(keccak256(table) == disputed.record.scalesHash, WrongPreimage());
    }

    function _rows(Case memory present, bytes calldata table)
        private
        pure
        returns (uint256[] memory rows, uint256 groups)
    {
        bool isWellFormed;
        (isWellFormed, rows, groups) = MaskLib.read(table, present.accepted.length);
        require(isWellFormed, MalformedTable());
    }

    /// @dev Check the packed chunks of all accepted updates; gives the values at one coordinate.
    function _maskedValues(Case memory present, uint32 chunk, uint256 coordinate, bytes calldata updates)
        private
        view
        returns (uint32[] memory values)
    {
        uint256 stride = MaskLib.CHUNK + 32 * ChunkTreeLib.depthOf(MaskLib.leavesOf(present.terms.chunks));
        uint256 count = present.accepted.length;
        require(updates.length == count * stride, WrongUpdateCount(updates.length / stride, count));
        bytes32[] memory roots = new bytes32[](count);
        values = new uint32[](count);
        for (uint256 k = 0; k < count; ++k) {
            bytes calldata packed = updates[k * stride:(k + 1) * stride];
            roots[k] = MaskLib.root(MaskLib.MASKED, chunk, packed[:MaskLib.CHUNK], packed[MaskLib.CHUNK:]);
            values[k] = uint32(uint256(packed.int32At(4 * coordinate)));
        }
        _acceptedReveals(present, roots);
    }

    /// @dev The groups' means, or that of all where the rule is the mean.
    function _means(Case memory present, bytes calldata table, uint256 coordinate, uint32[] memory values)
        private
        pure
        returns (int256[] memory)
    {
        (uint256[] memory rows, uint256 groups) = _rows(present, table);
        (int256[] memory sums, int256[] memory sizes) = MaskLib.groupSums(table, rows, groups, coordinate, values);
        return present.terms.mergeRule == MergeRule.Mean ? MaskLib.meanOfAll(sums, sizes) : MaskLib.means(sums, sizes);
    }

    function _checkKeys(Case memory present, uint256 position, bytes32 updateRoot, Opening calldata keys) private pure {
        require(position < present.accepted.length, OutOfRange(position, present.accepted.length));
        uint256 chunks = present.terms.chunks;
        OpeningLib.requireLength(keys.content, MaskLib.CHUNK);
        OpeningLib.requireDepth(keys.siblings, MaskLib.leavesOf(chunks));
        bytes32 opened = MaskLib.root(MaskLib.KEYS, chunks, keys.content, keys.siblings);
        require(opened == updateRoot, WrongUpdate(position, opened));
    }

    /// @dev The accepted updates' member indices.
    function _members(Case memory present, bytes32[] memory updateRoots)
        private
        view
        returns (uint256[] memory members)
    {
        RevealWord[] memory shown = _acceptedReveals(present, updateRoots);
        members = new uint256[](shown.length);
        for (uint256 k = 0; k < shown.length; ++k) {
            (, members[k]) = market.seatOf(present.bounty, shown[k].provider());
        }
    }
}
