// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkTreeLib} from "./ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "./SumTreeLib.sol";

/// @title OpeningLib
/// @notice Shows that a chunk stands at its place in a committed tree, and reads the integers in it.
/// @dev Every proof has exactly the length that the tree's size gives, so that an index names one place. Siblings are
/// 32 bytes each, from the leaf up.
library OpeningLib {
    using SumTreeLib for SumNode;

    uint256 internal constant COORDINATES = 128;

    /// @notice Bytes of an update's chunk, and of the sum that goes with it.
    uint256 internal constant UPDATE_CHUNK = 2 * COORDINATES;
    uint256 internal constant SUM = 8;

    error WrongSiblings(uint256 length, uint256 expected);
    error WrongContent(uint256 length, uint256 expected);
    /// @notice The chunk does not stand there in the committed tree.
    error NotInTree(bytes32 root);

    /// @notice Check that `content` is chunk `index` of a state of `planes` planes.
    function checkState(
        bytes32 root,
        uint256 index,
        uint256 chunks,
        uint256 planes,
        bytes calldata content,
        bytes calldata siblings
    ) internal pure {
        requireLength(content, 4 * COORDINATES * planes);
        requireDepth(siblings, chunks);
        bytes32 node = ChunkTreeLib.leaf(ChunkTreeLib.STATE, uint32(index), content);
        require(ChunkTreeLib.climb(node, index, siblings) == root, NotInTree(root));
    }

    /// @notice The root of the update in which `content` is chunk `index` with the committed `sum`.
    function updateRoot(uint256 index, bytes calldata content, uint64 sum, bytes calldata siblings)
        internal
        pure
        returns (bytes32)
    {
        bytes32 hash = ChunkTreeLib.leaf(ChunkTreeLib.UPDATE, uint32(index), content);
        return SumNode.unwrap(SumTreeLib.node(hash, sum).climb(index, siblings));
    }

    /// @notice Check that `sum` is leaf `index` of a distance tree.
    function checkDistance(bytes32 root, uint256 index, uint256 chunks, uint64 sum, bytes calldata siblings)
        internal
        pure
    {
        requireDepth(siblings, chunks);
        SumNode top = SumTreeLib.distanceLeaf(uint32(index), sum).climb(index, siblings);
        require(SumNode.unwrap(top) == root, NotInTree(root));
    }

    /// @notice The payout root under which `account` has `cumulative` at member index `seat`, shortened as it is kept.
    /// @dev The depth is the proof's: the root commits to it.
    function payoutRoot(uint256 seat, address account, uint96 cumulative, bytes calldata siblings)
        internal
        pure
        returns (bytes28)
    {
        bytes32 node = ChunkTreeLib.payoutLeaf(uint32(seat), account, cumulative);
        return bytes28(ChunkTreeLib.sealRoot(ChunkTreeLib.climb(node, seat, siblings), siblings.length / 32));
    }

    /// @notice Whether something stands beside the leaf at `index` where a tree of so many leaves must be empty.
    function hasStray(bytes calldata siblings, uint256 index, uint256 leaves) internal pure returns (bool) {
        for (uint256 level = 0; level < siblings.length / 32; ++level) {
            uint256 place = index >> level;
            uint256 beside = place % 2 == 0 ? place + 1 : place - 1;
            bool isEmpty = beside << level >= leaves;
            if (isEmpty && bytes32(siblings[32 * level:32 * (level + 1)]) != 0) return true;
        }
        return false;
    }

    function requireDepth(bytes calldata siblings, uint256 leaves) internal pure {
        uint256 expected = 32 * ChunkTreeLib.depthOf(leaves);
        require(siblings.length == expected, WrongSiblings(siblings.length, expected));
    }

    function requireLength(bytes calldata content, uint256 expected) internal pure {
        require(content.length == expected, WrongContent(content.length, expected));
    }

    /// @notice The little-endian int16 at byte `at`; beyond the end of `data` lies anything.
    /// @dev Checks of bounds that the callers' loops keep would be half of what the proof of a distance costs.
    function int16At(bytes calldata data, uint256 at) internal pure returns (int256) {
        uint256 word = uint256(ChunkTreeLib.wordAt(data, at)) >> 240;
        return int16(uint16(word >> 8 | word << 8));
    }

    /// @notice The little-endian int32 at byte `at`.
    function int32At(bytes calldata data, uint256 at) internal pure returns (int256) {
        uint32 word = uint32(bytes4(data[at:at + 4]));
        word = (word & 0xff00ff) << 8 | word >> 8 & 0xff00ff;
        return int32(word << 16 | word >> 16);
    }

    /// @notice The big-endian uint64 at byte `at`.
    function uint64At(bytes calldata data, uint256 at) internal pure returns (uint64) {
        return uint64(bytes8(data[at:at + 8]));
    }
}
