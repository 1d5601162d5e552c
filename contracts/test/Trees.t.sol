// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BitsLib} from "../src/libraries/BitsLib.sol";
import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {Test} from "./support/Test.sol";
import {Trees} from "./support/Trees.sol";

/// @notice The trees against the golden vectors that the Python tests read too, and against whole trees of any shape.
contract TreesTest is Test {
    using SumTreeLib for SumNode;

    string private constant VECTORS = "../tests/fixtures/trees.json";
    uint256 private constant VECTOR_COUNT = 14;

    // --- golden vectors ---

    function test_chunkTree__ofEveryVector__hasItsLeafRootAndProof() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < VECTOR_COUNT; ++k) {
            string memory at = _vector(k);
            bytes32[] memory leaves = vm.parseJsonBytes32Array(json, _key(at, "leaves"));
            bytes32[] memory proof = vm.parseJsonBytes32Array(json, _key(at, "proof"));
            bytes32 root = vm.parseJsonBytes32(json, _key(at, "root"));
            bytes32 leaf = vm.parseJsonBytes32(json, _key(at, "leaf"));
            uint256 index = vm.parseJsonUint(json, _key(at, "index"));

            bytes memory chunk = vm.parseJsonBytes(json, _key(at, "chunk"));
            assertEq(ChunkTreeLib.leaf(ChunkTreeLib.UPDATE, uint32(index), chunk), leaf, "leaf");
            assertEq(leaves[index], leaf, "leaf in its place");
            assertEq(Trees.root(leaves), root, "root");
            assertEq(this.climb(leaf, index, proof), root, "root from the proof");
            assertEq(proof.length, Trees.depth(leaves.length), "length of the proof");
            assertEq(
                keccak256(abi.encode(Trees.proof(leaves, index))), keccak256(abi.encode(proof)), "proof from the leaves"
            );
        }
    }

    function test_sumTree__ofEveryVector__hasItsSquaresAndRoot() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < VECTOR_COUNT; ++k) {
            string memory at = _vector(k);
            uint256 index = vm.parseJsonUint(json, _key(at, "index"));
            bytes32 root = vm.parseJsonBytes32(json, _key(at, "sumRoot"));

            SumNode leaf = SumTreeLib.leaf(uint32(index), vm.parseJsonBytes(json, _key(at, "chunk")));
            assertEq(leaf.sumOf(), vm.parseJsonUint(json, _key(at, "square")), "square");
            SumNode climbed = this.sumClimb(leaf, index, vm.parseJsonBytes(json, _key(at, "sumProof")));
            assertEq(SumNode.unwrap(climbed), root, "root from the proof");
            assertEq(climbed.sumOf(), vm.parseJsonUint(json, _key(at, "sumTotal")), "sum from the proof");
            assertEq(SumNode.unwrap(Trees.top(_nodes(json, at))), root, "root");
        }
    }

    function test_payoutTree__ofTheVector__hasItsLeavesAndRoot() public view {
        string memory json = vm.readFile(VECTORS);
        address[] memory accounts = vm.parseJsonAddressArray(json, ".payouts.accounts");
        uint256[] memory amounts = vm.parseJsonUintArray(json, ".payouts.amounts");
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, ".payouts.leaves");
        for (uint32 k = 0; k < accounts.length; ++k) {
            assertEq(ChunkTreeLib.payoutLeaf(k, accounts[k], uint96(amounts[k])), leaves[k], "leaf");
        }
        assertEq(Trees.payoutRoot(leaves), vm.parseJsonBytes32(json, ".payouts.root"), "root");
    }

    function test_vectors__whenCounted__thenNoneIsLeftOut() public view {
        string memory json = vm.readFile(VECTORS);
        assertTrue(vm.keyExistsJson(json, _vector(VECTOR_COUNT - 1)), "the last");
        assertTrue(!vm.keyExistsJson(json, _vector(VECTOR_COUNT)), "none after it");
    }

    // --- any tree ---

    function testFuzz_climb__ofAnyLeafOfAnyTree__reachesTheRoot(uint256 size, uint256 index, bytes32 seed) public view {
        bytes32[] memory leaves = _leaves(bound(size, 1, 70), seed);
        index = bound(index, 0, leaves.length - 1);
        assertEq(this.climb(leaves[index], index, Trees.proof(leaves, index)), Trees.root(leaves), "root");
    }

    function testFuzz_climb__ofAnotherLeaf__missesTheRoot(uint256 size, uint256 index, bytes32 other) public view {
        bytes32[] memory leaves = _leaves(bound(size, 1, 70), "seed");
        index = bound(index, 0, leaves.length - 1);
        vm.assume(other != leaves[index]);
        assertTrue(this.climb(other, index, Trees.proof(leaves, index)) != Trees.root(leaves), "another leaf");
    }

    function testFuzz_sumClimb__ofAnyLeafOfAnyTree__reachesTheTop(uint256 size, uint256 index, uint48 seed)
        public
        view
    {
        SumNode[] memory leaves = new SumNode[](bound(size, 1, 70));
        uint64 total = 0;
        for (uint64 k = 0; k < leaves.length; ++k) {
            leaves[k] = SumTreeLib.node(keccak256(abi.encode(seed, k)), seed + k);
            total += seed + k;
        }
        index = bound(index, 0, leaves.length - 1);
        bytes memory siblings = abi.encodePacked(Trees.proof(leaves, index));
        SumNode top = this.sumClimb(leaves[index], index, siblings);
        assertEq(SumNode.unwrap(top), SumNode.unwrap(Trees.top(leaves)), "top");
        assertEq(top.sumOf(), total, "sum");
    }

    function test_sumClimb__whenSumsOverflow__isRefused() public {
        SumNode leaf = SumTreeLib.node("leaf", type(uint64).max);
        vm.expectRevert();
        this.sumClimb(leaf, 0, abi.encodePacked(SumNode.unwrap(SumTreeLib.node("sibling", 1))));
    }

    function testFuzz_squaredNorm__ofAnyChunk__isTheSumOfTheSquares(int16[128] memory values) public pure {
        bytes memory chunk;
        uint256 expected = 0;
        for (uint256 k = 0; k < values.length; ++k) {
            uint16 raw = uint16(values[k]);
            chunk = abi.encodePacked(chunk, uint8(raw), uint8(raw >> 8));
            expected += uint256(int256(values[k]) * int256(values[k]));
        }
        assertEq(SumTreeLib.squaredNorm(chunk), expected, "squared norm");
    }

    function test_squaredNorm__ofAChunkOfTheWrongLength__isRefused() public {
        vm.expectRevert(abi.encodeWithSelector(SumTreeLib.WrongChunkLength.selector, 255));
        this.squaredNorm(new bytes(255));
    }

    function testFuzz_payoutLeaf__ofAnyPayout__isATaggedLeaf(uint32 index, address account, uint96 amount) public pure {
        assertEq(
            ChunkTreeLib.payoutLeaf(index, account, amount),
            ChunkTreeLib.leaf(ChunkTreeLib.PAYOUT, index, abi.encodePacked(account, amount)),
            "leaf"
        );
    }

    // --- bits ---

    function testFuzz_countOnes__ofAnyWord__isTheNumberOfSetBits(uint256 word) public pure {
        uint256 expected = 0;
        for (uint256 k = 0; k < 256; ++k) {
            expected += word >> k & 1;
        }
        assertEq(BitsLib.countOnes(word), expected, "bits");
    }

    function test_countOnes__ofTheExtremes__isExact() public pure {
        assertEq(BitsLib.countOnes(0), 0, "none");
        assertEq(BitsLib.countOnes(type(uint256).max), 256, "all");
    }

    // --- doors for calldata ---

    function climb(bytes32 node, uint256 index, bytes32[] calldata siblings) external pure returns (bytes32) {
        return ChunkTreeLib.climb(node, index, siblings);
    }

    function squaredNorm(bytes calldata chunk) external pure returns (uint64) {
        return SumTreeLib.squaredNorm(chunk);
    }

    function sumClimb(SumNode node, uint256 index, bytes calldata siblings) external pure returns (SumNode) {
        return node.climb(index, siblings);
    }

    // --- internal ---

    function _leaves(uint256 size, bytes32 seed) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 k = 0; k < size; ++k) {
            leaves[k] = keccak256(abi.encode(seed, k));
        }
    }

    function _nodes(string memory json, string memory at) private pure returns (SumNode[] memory nodes) {
        bytes32[] memory hashes = vm.parseJsonBytes32Array(json, _key(at, "leaves"));
        uint256[] memory sums = vm.parseJsonUintArray(json, _key(at, "squares"));
        nodes = new SumNode[](hashes.length);
        for (uint256 k = 0; k < nodes.length; ++k) {
            nodes[k] = SumTreeLib.node(hashes[k], uint64(sums[k]));
        }
    }

    function _vector(uint256 k) private pure returns (string memory) {
        return string.concat(".trees[", vm.toString(k), "]");
    }

    function _key(string memory at, string memory name) private pure returns (string memory) {
        return string.concat(at, ".", name);
    }
}
