// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";

/// @notice Proofs about the trees, for all inputs and a few levels, where keccak has no collisions.
contract TreesSymbolic {
    using SumTreeLib for SumNode;

    /// @custom:halmos --default-array-lengths 1,2,3
    function check_climb__ofTwoNodesAtOneIndex__reachesOneRootOnlyIfTheyAreOne(
        bytes32 node,
        bytes32 other,
        uint256 index,
        bytes32[] calldata siblings,
        bytes32[] calldata others
    ) external pure {
        if (siblings.length != others.length) return;
        if (ChunkTreeLib.climb(node, index, siblings) != ChunkTreeLib.climb(other, index, others)) return;
        assert(node == other);
        for (uint256 k = 0; k < siblings.length; ++k) {
            assert(siblings[k] == others[k]);
        }
    }

    /// @custom:halmos --default-array-lengths 0,1,2,3,4
    function check_climb__whateverTheBitsAboveTheProof__reachesTheSameRoot(
        bytes32 node,
        uint256 index,
        bytes32[] calldata siblings
    ) external pure {
        uint256 kept = index & (1 << siblings.length) - 1;
        assert(ChunkTreeLib.climb(node, index, siblings) == ChunkTreeLib.climb(node, kept, siblings));
    }

    /// @custom:halmos --default-array-lengths 0,1,2
    function check_sealRoot__ofTwoDepths__neverGivesOneRoot(
        bytes32 node,
        bytes32 other,
        uint256 index,
        bytes32[] calldata siblings,
        bytes32[] calldata others
    ) external pure {
        bytes32 root = ChunkTreeLib.sealRoot(ChunkTreeLib.climb(node, index, siblings), siblings.length);
        bytes32 second = ChunkTreeLib.sealRoot(ChunkTreeLib.climb(other, index, others), others.length);
        if (root == second) assert(siblings.length == others.length && node == other);
    }

    function check_payoutLeaf__ofTwoPayouts__isOneLeafOnlyIfTheyAreOne(
        uint32 index,
        uint32 otherIndex,
        address provider,
        address otherProvider,
        uint96 amount,
        uint96 otherAmount
    ) external pure {
        bytes32 leaf = ChunkTreeLib.payoutLeaf(index, provider, amount);
        if (leaf != ChunkTreeLib.payoutLeaf(otherIndex, otherProvider, otherAmount)) return;
        assert(index == otherIndex && provider == otherProvider && amount == otherAmount);
    }

    function check_leaf__ofTwoChunks__isOneLeafOnlyIfTheyAreOne(
        bytes1 tag,
        bytes1 otherTag,
        uint32 index,
        uint32 otherIndex,
        bytes32 content,
        bytes32 otherContent
    ) external pure {
        bytes32 leaf = ChunkTreeLib.leaf(tag, index, abi.encode(content));
        if (leaf != ChunkTreeLib.leaf(otherTag, otherIndex, abi.encode(otherContent))) return;
        assert(tag == otherTag && index == otherIndex && content == otherContent);
    }

    function check_payoutLeaf__besideAnyInnerNode__isNone(
        uint32 index,
        address provider,
        uint96 amount,
        bytes32 left,
        bytes32 right
    ) external pure {
        assert(ChunkTreeLib.payoutLeaf(index, provider, amount) != Hashes.efficientKeccak256(left, right));
    }

    /// @custom:halmos --default-bytes-lengths 0,32,64,96,128
    function check_climb__ofASumNode__sumsWhatIsUnderTheRoot(SumNode node, uint256 index, bytes calldata siblings)
        external
        pure
    {
        uint256 total = node.sumOf();
        for (uint256 at = 0; at < siblings.length; at += 32) {
            total += SumNode.wrap(ChunkTreeLib.wordAt(siblings, at)).sumOf();
        }
        assert(node.climb(index, siblings).sumOf() == total);
    }

    /// @dev The depth is the least that holds all leaves.
    function check_depthOf__ofUpTo16Leaves__isTheLeast(uint256 leaves) external pure {
        if (leaves == 0 || leaves > 16) return;
        uint256 depth = ChunkTreeLib.depthOf(leaves);
        assert(1 << depth >= leaves && (depth == 0 || 1 << depth - 1 < leaves));
    }
}
