// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkTreeLib} from "./ChunkTreeLib.sol";

/// @notice A node of a sum tree: a hash, and the sum of the squares under it.
struct SumNode {
    bytes32 hash;
    uint128 sum;
}

/// @title SumTreeLib
/// @notice Merkle-sum trees over the chunks of an update. See docs/PROTOCOL.md, section 2.
library SumTreeLib {
    uint256 internal constant COORDINATES = 128;

    error WrongChunkLength(uint256 length);

    /// @notice The leaf of an update chunk: 128 little-endian int16.
    function leaf(uint32 index, bytes memory chunk) internal pure returns (SumNode memory) {
        return SumNode(ChunkTreeLib.leaf(ChunkTreeLib.UPDATE, index, chunk), squaredNorm(chunk));
    }

    /// @notice Sum of the squares of a chunk's integers.
    function squaredNorm(bytes memory chunk) internal pure returns (uint128 sum) {
        require(chunk.length == 2 * COORDINATES, WrongChunkLength(chunk.length));
        for (uint256 k = 0; k < chunk.length; k += 2) {
            int256 value = int16(uint16(uint8(chunk[k])) | uint16(uint8(chunk[k + 1])) << 8);
            sum += uint128(uint256(value * value));
        }
    }

    function parent(SumNode memory left, SumNode memory right) internal pure returns (SumNode memory) {
        return SumNode(keccak256(abi.encodePacked(left.hash, left.sum, right.hash, right.sum)), left.sum + right.sum);
    }

    /// @notice The top over `node` at `index`, given the siblings from the leaf up.
    function climb(SumNode memory node, uint256 index, SumNode[] memory siblings)
        internal
        pure
        returns (SumNode memory)
    {
        for (uint256 level = 0; level < siblings.length; ++level) {
            node = (index >> level) & 1 == 0 ? parent(node, siblings[level]) : parent(siblings[level], node);
        }
        return node;
    }

    /// @notice The root of the tree whose top node is (`hash`, `sum`): it commits to both.
    function seal(bytes32 hash, uint128 sum) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(hash, sum));
    }
}
