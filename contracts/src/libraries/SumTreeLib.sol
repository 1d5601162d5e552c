// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {ChunkTreeLib} from "./ChunkTreeLib.sol";

/// @notice A node of a sum tree in one word: the first 24 bytes of a hash, then the sum of the squares under it.
type SumNode is bytes32;

/// @title SumTreeLib
/// @notice Merkle-sum trees over chunks. See docs/PROTOCOL.md, section 2.
library SumTreeLib {
    uint256 internal constant COORDINATES = 128;

    error WrongChunkLength(uint256 length);

    /// @notice Put a hash and a sum in one word.
    function node(bytes32 hash, uint64 sum) internal pure returns (SumNode) {
        return SumNode.wrap(bytes32(bytes24(hash)) | bytes32(uint256(sum)));
    }

    /// @notice The sum under a node; of a root, the squared norm that it commits to.
    function sumOf(SumNode self) internal pure returns (uint64) {
        return uint64(uint256(SumNode.unwrap(self)));
    }

    /// @notice The leaf of an update chunk: 128 little-endian int16.
    function leaf(uint32 index, bytes memory chunk) internal pure returns (SumNode) {
        return node(ChunkTreeLib.leaf(ChunkTreeLib.UPDATE, index, chunk), squaredNorm(chunk));
    }

    /// @notice The leaf of a distance tree: nothing but a sum.
    function distanceLeaf(uint32 index, uint64 sum) internal pure returns (SumNode) {
        return node(ChunkTreeLib.leaf(ChunkTreeLib.DISTANCE, index, abi.encodePacked(sum)), sum);
    }

    /// @notice Sum of the squares of a chunk's integers.
    function squaredNorm(bytes memory chunk) internal pure returns (uint64 sum) {
        require(chunk.length == 2 * COORDINATES, WrongChunkLength(chunk.length));
        for (uint256 k = 0; k < chunk.length; k += 2) {
            int256 value = int16(uint16(uint8(chunk[k])) | uint16(uint8(chunk[k + 1])) << 8);
            sum += uint64(uint256(value * value));
        }
    }

    function parent(SumNode left, SumNode right) internal pure returns (SumNode) {
        bytes32 hash = Hashes.efficientKeccak256(SumNode.unwrap(left), SumNode.unwrap(right));
        return node(hash, sumOf(left) + sumOf(right));
    }

    /// @notice The root over `self` at `index`, given the siblings from the leaf up, 32 bytes each.
    function climb(SumNode self, uint256 index, bytes calldata siblings) internal pure returns (SumNode) {
        for (uint256 at = 0; at < siblings.length; at += 32) {
            SumNode sibling = SumNode.wrap(ChunkTreeLib.wordAt(siblings, at));
            self = index & 1 == 0 ? parent(self, sibling) : parent(sibling, self);
            index >>= 1;
        }
        return self;
    }
}
