// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {Test} from "./support/Test.sol";

/// @dev A random tree as the Python side has it, and the proof of one leaf.
struct RandomTree {
    bytes chunk;
    uint256 index;
    bytes32 leaf;
    bytes32[] proof;
    bytes32 root;
    uint256 square;
    bytes sumProof;
    bytes32 sumRoot;
}

/// @notice A thousand random trees, made by Python just before: both languages must have the same bytes.
contract TreeDifferenceTest is Test {
    string private constant TREES = "../tests/fixtures/random_trees.bin";
    uint256 private constant TREE_COUNT = 1_000;

    function test_trees__asPythonHasThem__agreeInEveryByte() public view {
        RandomTree[] memory trees = abi.decode(vm.readFileBinary(TREES), (RandomTree[]));
        assertEq(trees.length, TREE_COUNT, "number of trees");
        for (uint256 k = 0; k < trees.length; ++k) {
            _compare(trees[k]);
        }
    }

    function climb(bytes32 node, uint256 index, bytes32[] calldata siblings) external pure returns (bytes32) {
        return ChunkTreeLib.climb(node, index, siblings);
    }

    function sumClimb(SumNode node, uint256 index, bytes calldata siblings) external pure returns (SumNode) {
        return SumTreeLib.climb(node, index, siblings);
    }

    function _compare(RandomTree memory tree) private view {
        assertEq(ChunkTreeLib.leaf(ChunkTreeLib.UPDATE, uint32(tree.index), tree.chunk), tree.leaf, "leaf");
        assertEq(this.climb(tree.leaf, tree.index, tree.proof), tree.root, "root");

        SumNode leaf = SumTreeLib.leaf(uint32(tree.index), tree.chunk);
        assertEq(bytes32(bytes24(SumNode.unwrap(leaf))), bytes32(bytes24(tree.leaf)), "leaf of the sum tree");
        assertEq(SumTreeLib.sumOf(leaf), tree.square, "squared norm");
        assertEq(SumNode.unwrap(this.sumClimb(leaf, tree.index, tree.sumProof)), tree.sumRoot, "sum root");
    }
}
