// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BitsLib} from "../src/libraries/BitsLib.sol";
import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {Test} from "./support/Test.sol";
import {Trees} from "./support/Trees.sol";

/// @notice The trees against the golden vectors that the Python tests read too, and against whole trees of any shape.
contract TreesTest is Test {
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

    function test_sumTree__ofEveryVector__hasItsSquaresTopAndSeal() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < VECTOR_COUNT; ++k) {
            string memory at = _vector(k);
            uint256 index = vm.parseJsonUint(json, _key(at, "index"));
            bytes32 top = vm.parseJsonBytes32(json, _key(at, "sumTop"));
            uint256 total = vm.parseJsonUint(json, _key(at, "sumTotal"));

            SumNode memory leaf = SumTreeLib.leaf(uint32(index), vm.parseJsonBytes(json, _key(at, "chunk")));
            assertEq(leaf.sum, vm.parseJsonUint(json, _key(at, "square")), "square");
            SumNode memory climbed = SumTreeLib.climb(leaf, index, _nodes(json, at, "sumProofHashes", "sumProofSums"));
            assertEq(climbed.hash, top, "top from the proof");
            assertEq(climbed.sum, total, "sum from the proof");
            SumNode memory whole = Trees.top(_nodes(json, at, "leaves", "squares"));
            assertEq(whole.hash, top, "top");
            assertEq(whole.sum, total, "sum");
            assertEq(SumTreeLib.seal(top, uint128(total)), vm.parseJsonBytes32(json, _key(at, "sumRoot")), "seal");
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
        assertEq(Trees.root(leaves), vm.parseJsonBytes32(json, ".payouts.root"), "root");
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

    function testFuzz_sumClimb__ofAnyLeafOfAnyTree__reachesTheTop(uint256 size, uint256 index, uint112 seed)
        public
        pure
    {
        SumNode[] memory leaves = new SumNode[](bound(size, 1, 70));
        uint256 total = 0;
        for (uint256 k = 0; k < leaves.length; ++k) {
            leaves[k] = SumNode(keccak256(abi.encode(seed, k)), uint128(seed) + uint128(k));
            total += leaves[k].sum;
        }
        index = bound(index, 0, leaves.length - 1);
        SumNode memory top = SumTreeLib.climb(leaves[index], index, Trees.proof(leaves, index));
        assertEq(top.hash, Trees.top(leaves).hash, "top");
        assertEq(top.sum, total, "sum");
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

    function testFuzz_hasZeroByte__ofAnyBytes__isWhetherOneIsZero(bytes memory data, uint256 place) public view {
        for (uint256 k = 0; k < data.length; ++k) {
            if (data[k] == 0) data[k] = 0x01;
        }
        assertTrue(!this.hasZeroByte(data), "none");
        if (data.length == 0) return;
        data[place % data.length] = 0;
        assertTrue(this.hasZeroByte(data), "one");
    }

    // --- doors for calldata ---

    function climb(bytes32 node, uint256 index, bytes32[] calldata siblings) external pure returns (bytes32) {
        return ChunkTreeLib.climb(node, index, siblings);
    }

    function squaredNorm(bytes calldata chunk) external pure returns (uint128) {
        return SumTreeLib.squaredNorm(chunk);
    }

    function hasZeroByte(bytes calldata data) external pure returns (bool) {
        return BitsLib.hasZeroByte(data);
    }

    // --- internal ---

    function _leaves(uint256 size, bytes32 seed) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 k = 0; k < size; ++k) {
            leaves[k] = keccak256(abi.encode(seed, k));
        }
    }

    function _nodes(string memory json, string memory at, string memory hashes, string memory sums)
        private
        pure
        returns (SumNode[] memory nodes)
    {
        bytes32[] memory words = vm.parseJsonBytes32Array(json, _key(at, hashes));
        uint256[] memory numbers = vm.parseJsonUintArray(json, _key(at, sums));
        nodes = new SumNode[](words.length);
        for (uint256 k = 0; k < nodes.length; ++k) {
            nodes[k] = SumNode(words[k], uint128(numbers[k]));
        }
    }

    function _vector(uint256 k) private pure returns (string memory) {
        return string.concat(".trees[", vm.toString(k), "]");
    }

    function _key(string memory at, string memory name) private pure returns (string memory) {
        return string.concat(at, ".", name);
    }
}
