// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRule} from "../src/Types.sol";
import {ChaCha20Lib} from "../src/libraries/ChaCha20Lib.sol";
import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {MaskLib} from "../src/libraries/MaskLib.sol";
import {MergeRuleLib} from "../src/libraries/MergeRuleLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {Test} from "./support/Test.sol";
import {Trees} from "./support/Trees.sol";

/// @dev A mask table and key leaves, and what Python says of them. Lists of judgements are empty where what they are
/// about is not well-formed.
struct RandomMasks {
    MergeRule rule;
    bytes32 packed;
    int256[2] planes;
    uint256 coordinate;
    bytes table;
    uint256[] values;
    uint256[] members;
    bytes[] leaves;
    bool isTable;
    bool[] areLeaves;
    bool[] areRight;
    bool[] areSeeds; // of updates whose masks are right
    int256[2] merged;
}

/// @notice The part of forge's cheat codes that only this test uses.
interface MaskVm {
    function parseJsonIntArray(string calldata json, string calldata key) external pure returns (int256[] memory);
    function parseJsonBytesArray(string calldata json, string calldata key) external pure returns (bytes[] memory);
    function pauseGasMetering() external pure;
}

/// @notice Masks against the golden vectors that the Python tests read too, and against random ones, most of them
/// faulty, that Python made just before.
contract MasksTest is Test {
    string private constant VECTORS = "../tests/fixtures/masks.json";
    string private constant RANDOM = "../tests/fixtures/random_masks.bin";
    uint256 private constant WORD_COUNT = 8;
    uint256 private constant TREE_COUNT = 5;
    uint256 private constant MERGE_COUNT = 12;
    uint256 private constant RANDOM_COUNT = 250;

    MaskVm private constant MASK_VM = MaskVm(address(vm));

    // --- vectors ---

    function test_maskAt__ofEveryVector__isItsWord() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < WORD_COUNT; ++k) {
            string memory at = _vector("words", k);
            bytes32 seed = vm.parseJsonBytes32(json, _key(at, "seed"));
            uint256 coordinate = vm.parseJsonUint(json, _key(at, "coordinate"));
            assertEq(ChaCha20Lib.maskAt(seed, coordinate), vm.parseJsonUint(json, _key(at, "mask")), "mask");
        }
    }

    function test_root__ofEveryLeafOfEveryVector__isItsRoot() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < TREE_COUNT; ++k) {
            string memory at = _vector("trees", k);
            bytes[] memory chunks = MASK_VM.parseJsonBytesArray(json, _key(at, "chunks"));
            bytes memory keys = vm.parseJsonBytes(json, _key(at, "keys"));
            bytes32 expected = vm.parseJsonBytes32(json, _key(at, "root"));
            SumNode[] memory leaves = new SumNode[](chunks.length + 1);
            for (uint256 j = 0; j < chunks.length; ++j) {
                leaves[j] = SumTreeLib.node(ChunkTreeLib.leaf(MaskLib.MASKED, uint32(j), chunks[j]), 0);
            }
            leaves[chunks.length] = SumTreeLib.node(ChunkTreeLib.leaf(MaskLib.KEYS, uint32(chunks.length), keys), 0);
            for (uint256 j = 0; j < leaves.length; ++j) {
                bool isChunk = j < chunks.length;
                bytes memory siblings = abi.encodePacked(Trees.proof(leaves, j));
                bytes1 tag = isChunk ? MaskLib.MASKED : MaskLib.KEYS;
                assertEq(this.root(tag, j, isChunk ? chunks[j] : keys, siblings), expected, "root");
            }
        }
    }

    function test_groupSums__ofEveryVector__leadToItsCoordinate() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < MERGE_COUNT; ++k) {
            string memory at = _vector("merges", k);
            int256[] memory planes = MASK_VM.parseJsonIntArray(json, _key(at, "planes"));
            (int256 accumulator, int256 previous) = this.merged(
                MergeRule(vm.parseJsonUint(json, _key(at, "rule"))),
                vm.parseJsonBytes32(json, _key(at, "parameters")),
                [planes[0], planes[1]],
                vm.parseJsonUint(json, _key(at, "coordinate")),
                vm.parseJsonBytes(json, _key(at, "table")),
                vm.parseJsonUintArray(json, _key(at, "values"))
            );
            _assertInt(accumulator, planes[2], "accumulator");
            _assertInt(previous, planes[3], "previous aggregate");
        }
    }

    function test_vectors__whenCounted__thenNoneIsLeftOut() public view {
        string memory json = vm.readFile(VECTORS);
        assertTrue(!vm.keyExistsJson(json, _vector("words", WORD_COUNT)), "words");
        assertTrue(!vm.keyExistsJson(json, _vector("trees", TREE_COUNT)), "trees");
        assertTrue(!vm.keyExistsJson(json, _vector("merges", MERGE_COUNT)), "merges");
    }

    // --- random tables ---

    function test_masks__asPythonJudgesThem__areJudgedAlike() public view {
        MASK_VM.pauseGasMetering();
        RandomMasks[] memory cases = abi.decode(vm.readFileBinary(RANDOM), (RandomMasks[]));
        assertEq(cases.length, RANDOM_COUNT, "number of tables");
        for (uint256 k = 0; k < cases.length; ++k) {
            this.compare(cases[k]);
        }
    }

    /// @dev Called for its memory, which ends with it.
    function compare(RandomMasks calldata one) external view {
        (bool isTable, uint256[] memory rows,) = MaskLib.read(one.table, one.members.length);
        assertTrue(isTable == one.isTable, "form of the table");
        uint256 next = 0;
        for (uint256 k = 0; k < one.members.length; ++k) {
            assertTrue(MaskLib.isKeyLeaf(one.leaves[k], one.members[k]) == one.areLeaves[k], "form of a key leaf");
            if (!isTable || !one.areLeaves[k]) continue;
            bool areRight = MaskLib.areRightMasks(one.table, rows, one.members, k, one.leaves[k]);
            assertTrue(areRight == one.areRight[k], "which masks");
            if (areRight) next = _compareSeeds(one, rows[k], k, next);
        }
        assertEq(next, one.areSeeds.length, "number of seeds");
        if (!isTable) return;
        (int256 accumulator, int256 previous) =
            this.merged(one.rule, one.packed, one.planes, one.coordinate, one.table, one.values);
        _assertInt(accumulator, one.merged[0], "accumulator");
        _assertInt(previous, one.merged[1], "previous aggregate");
    }

    function _compareSeeds(RandomMasks calldata one, uint256 row, uint256 k, uint256 next)
        private
        pure
        returns (uint256)
    {
        for (uint256 mask = 0; mask < MaskLib.maskCount(one.table, row); ++mask) {
            (uint256 slot, uint256 sign, bytes32 seed) = MaskLib.maskAt(one.table, row, mask);
            (bytes32 hash, bool subtracted) = MaskLib.commitmentAt(one.leaves[k], slot);
            bool isRight = keccak256(abi.encode(seed)) == hash && (sign == 1) == subtracted;
            assertTrue(isRight == one.areSeeds[next++], "a seed and its sign");
        }
        return next;
    }

    // --- doors for calldata ---

    function root(bytes1 tag, uint256 index, bytes calldata content, bytes calldata siblings)
        external
        pure
        returns (bytes32)
    {
        return MaskLib.root(tag, index, content, siblings);
    }

    function merged(
        MergeRule rule,
        bytes32 packed,
        int256[2] calldata planes,
        uint256 coordinate,
        bytes calldata table,
        uint256[] calldata values
    ) external pure returns (int256, int256) {
        uint32[] memory masked = new uint32[](values.length);
        for (uint256 k = 0; k < masked.length; ++k) {
            masked[k] = uint32(values[k]);
        }
        (, uint256[] memory rows, uint256 groups) = MaskLib.read(table, values.length);
        (int256[] memory sums, int256[] memory sizes) = MaskLib.groupSums(table, rows, groups, coordinate, masked);
        int256[] memory means = rule == MergeRule.Mean ? MaskLib.meanOfAll(sums, sizes) : MaskLib.means(sums, sizes);
        return MergeRuleLib.mergeMeans(rule, MergeRuleLib.unpack(packed), planes[0], planes[1], means);
    }

    function _assertInt(int256 actual, int256 expected, string memory what) private pure {
        assertEq(uint256(actual), uint256(expected), what);
    }

    function _vector(string memory list, uint256 k) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(k), "]");
    }

    function _key(string memory at, string memory name) private pure returns (string memory) {
        return string.concat(at, ".", name);
    }
}
