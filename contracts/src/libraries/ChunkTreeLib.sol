// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title ChunkTreeLib
/// @notice Binary keccak trees over tagged, indexed, double-hashed leaves. See docs/PROTOCOL.md, section 2.
library ChunkTreeLib {
    bytes1 internal constant UPDATE = 0x01;
    bytes1 internal constant STATE = 0x02;
    bytes1 internal constant PAYOUT = 0x03;

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
            bytes32 sibling = siblings[level];
            (bytes32 left, bytes32 right) = index & 1 == 0 ? (node, sibling) : (sibling, node);
            node = Hashes.efficientKeccak256(left, right);
            index >>= 1;
        }
        return node;
    }

    /// @dev In the scratch space: encoding would take new memory, which costs a claim 144 gas more.
    function _twice(bytes32 hash) private pure returns (bytes32 twice) {
        assembly ("memory-safe") {
            mstore(0, hash)
            twice := keccak256(0, 32)
        }
    }
}
