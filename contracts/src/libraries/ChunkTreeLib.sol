// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title ChunkTreeLib
/// @notice Binary keccak trees over tagged, indexed, double-hashed leaves. See docs/PROTOCOL.md, section 2.
library ChunkTreeLib {
    bytes1 internal constant UPDATE = 0x01;
    bytes1 internal constant STATE = 0x02;
    bytes1 internal constant PAYOUT = 0x03;
    bytes1 internal constant DISTANCE = 0x04;

    /// @notice The leaf of `content` at `index`.
    function leaf(bytes1 tag, uint32 index, bytes memory content) internal pure returns (bytes32) {
        return _twice(keccak256(abi.encodePacked(tag, index, content)));
    }

    /// @notice The payout tree's leaf of a provider.
    function payoutLeaf(uint32 index, address provider, uint96 cumulative) internal pure returns (bytes32) {
        return _twice(keccak256(abi.encodePacked(PAYOUT, index, provider, cumulative)));
    }

    /// @notice The root over `node` at `index`, given the siblings from the leaf up.
    /// @dev The leaf commits to its index, so index bits above the proof's length need no check.
    function climb(bytes32 node, uint256 index, bytes32[] calldata siblings) internal pure returns (bytes32) {
        for (uint256 level = 0; level < siblings.length; ++level) {
            bytes32 sibling = wordAt(siblings, level);
            node = index & 1 == 0 ? Hashes.efficientKeccak256(node, sibling) : Hashes.efficientKeccak256(sibling, node);
            index >>= 1;
        }
        return node;
    }

    /// @notice The same with the siblings in one string, 32 bytes each.
    function climb(bytes32 node, uint256 index, bytes calldata siblings) internal pure returns (bytes32) {
        for (uint256 at = 0; at < siblings.length; at += 32) {
            bytes32 sibling = wordAt(siblings, at);
            node = index & 1 == 0 ? Hashes.efficientKeccak256(node, sibling) : Hashes.efficientKeccak256(sibling, node);
            index >>= 1;
        }
        return node;
    }

    /// @notice The word at byte `at`; beyond the end of `data` lies anything.
    /// @dev Slicing checks bounds that the callers' loops keep: 25k gas in a proof of 32 updates.
    function wordAt(bytes calldata data, uint256 at) internal pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, at))
        }
    }

    /// @notice The word `words[k]`; beyond the end lies anything.
    /// @dev As above: the check of bounds costs a claim among 1,024 providers 450 gas.
    function wordAt(bytes32[] calldata words, uint256 k) internal pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(words.offset, shl(5, k)))
        }
    }

    /// @notice The length of a proof in a tree of so many leaves.
    function depthOf(uint256 leaves) internal pure returns (uint256 depth) {
        while (1 << depth < leaves) ++depth;
    }

    /// @notice Bind a root to its tree's depth: else a tree could hold a second leaf of an index at another depth.
    function sealRoot(bytes32 root, uint256 depth) internal pure returns (bytes32) {
        return Hashes.efficientKeccak256(root, bytes32(depth));
    }

    /// @dev In the scratch space: encoding would take new memory, which costs a claim 144 gas more.
    function _twice(bytes32 hash) private pure returns (bytes32 twice) {
        assembly ("memory-safe") {
            mstore(0, hash)
            twice := keccak256(0, 32)
        }
    }
}
