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
    bytes32[] sumHashes;
    uint256[] sums;
    bytes32 top;
    uint256 total;
    bytes32 seal;
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

    function _compare(RandomTree memory tree) private view {
        assertEq(ChunkTreeLib.leaf(ChunkTreeLib.UPDATE, uint32(tree.index), tree.chunk), tree.leaf, "leaf");
        assertEq(this.climb(tree.leaf, tree.index, tree.proof), tree.root, "root");

        SumNode memory leaf = SumTreeLib.leaf(uint32(tree.index), tree.chunk);
        assertEq(leaf.hash, tree.leaf, "leaf of the sum tree");
        assertEq(leaf.sum, tree.square, "squared norm");
        SumNode[] memory siblings = new SumNode[](tree.sums.length);
        for (uint256 level = 0; level < siblings.length; ++level) {
            siblings[level] = SumNode(tree.sumHashes[level], uint128(tree.sums[level]));
        }
        SumNode memory top = SumTreeLib.climb(leaf, tree.index, siblings);
        assertEq(top.hash, tree.top, "top");
        assertEq(top.sum, tree.total, "sum");
        assertEq(SumTreeLib.seal(top.hash, top.sum), tree.seal, "seal");
    }
}
