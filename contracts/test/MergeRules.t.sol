// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRule} from "../src/Types.sol";
import {MergeRuleLib, Parameters} from "../src/libraries/MergeRuleLib.sol";
import {Test} from "./support/Test.sol";

/// @notice The part of forge's cheat codes that only this test uses.
interface SignedVm {
    function parseJsonIntArray(string calldata json, string calldata key) external pure returns (int256[] memory);
}

/// @notice The merge rules against the golden vectors that the Python tests read too, and at their limits.
contract MergeRulesTest is Test {
    string private constant VECTORS = "../tests/fixtures/merge_rules.json";
    uint256 private constant MERGE_COUNT = 68;
    uint256 private constant ORDER_COUNT = 6;
    uint256 private constant LIMIT_COUNT = 651;
    uint16 private constant QUORUM = 9;

    // --- vectors ---

    function test_merge__ofEveryVector__hasItsCoordinate() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < MERGE_COUNT; ++k) {
            this.checkMerge(json, _vector("merges", k));
        }
    }

    function test_distanceTerm__ofEveryVector__hasItsSquares() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < MERGE_COUNT; ++k) {
            this.checkTerms(json, _vector("merges", k));
        }
    }

    function test_bucketOrder__ofEverySeed__isThePermutation() public view {
        string memory json = vm.readFile(VECTORS);
        for (uint256 k = 0; k < ORDER_COUNT; ++k) {
            string memory at = _vector("orders", k);
            uint256[] memory expected = vm.parseJsonUintArray(json, _key(at, "order"));
            uint256[] memory indices = new uint256[](expected.length);
            for (uint256 i = 0; i < indices.length; ++i) {
                indices[i] = i;
            }
            MergeRuleLib.bucketOrder(indices, vm.parseJsonBytes32(json, _key(at, "seed")));
            for (uint256 i = 0; i < indices.length; ++i) {
                assertEq(indices[i], expected[i], "place");
            }
        }
    }

    function test_isScale__ofEveryDistance__isTrueOfOneScale() public view {
        uint256[] memory numbers = vm.parseJsonUintArray(vm.readFile(VECTORS), ".scales");
        for (uint256 k = 0; k < numbers.length; k += 3) {
            (uint256 distance, uint256 tau, uint256 scale) = (numbers[k], numbers[k + 1], numbers[k + 2]);
            assertTrue(MergeRuleLib.isScale(scale, distance, tau), "the scale");
            assertTrue(!MergeRuleLib.isScale(scale + 1, distance, tau), "the next");
            assertTrue(scale == 0 || !MergeRuleLib.isScale(scale - 1, distance, tau), "the one before");
            assertTrue(!MergeRuleLib.isScale(type(uint24).max, distance, tau), "the greatest that fits");
        }
    }

    function test_areValid__ofEveryWord__isWhetherABountyMayHaveIt() public view {
        uint256[] memory numbers = vm.parseJsonUintArray(vm.readFile(VECTORS), ".limits");
        assertEq(numbers.length, 5 * LIMIT_COUNT, "limits");
        for (uint256 k = 0; k < numbers.length; k += 5) {
            (MergeRule rule, bytes32 packed, uint256 quorum) =
                (MergeRule(numbers[k]), bytes32(numbers[k + 1]), numbers[k + 2]);
            bool expected = numbers[k + 3] == 1;
            assertTrue(MergeRuleLib.areValid(rule, packed, uint16(quorum)) == expected, vm.toString(k / 5));
            if (expected) assertEq(MergeRuleLib.planes(rule, MergeRuleLib.unpack(packed)), numbers[k + 4], "planes");
        }
    }

    function test_vectors__whenCounted__thenNoneIsLeftOut() public view {
        string memory json = vm.readFile(VECTORS);
        _requireCount(json, "merges", MERGE_COUNT);
        _requireCount(json, "orders", ORDER_COUNT);
    }

    // --- limits ---

    function testFuzz_unpack__ofAnyWord__hasEachField(Parameters memory fields) public pure {
        uint256 word = uint256(fields.eta) | uint256(fields.beta) << 32 | uint256(fields.trim) << 48
            | uint256(fields.bucket) << 56 | uint256(fields.iterations) << 64 | uint256(fields.tau) << 72
            | uint256(fields.attackers) << 104;
        bytes memory found = abi.encode(MergeRuleLib.unpack(bytes32(word)));
        assertEq(keccak256(found), keccak256(abi.encode(fields)), "fields");
    }

    function testFuzz_areValid__whenABitBeyondTheFieldsIsSet__isFalse(uint8 bit) public pure {
        bytes32 packed = bytes32(65_536 | 1 << bound(bit, 112, 255));
        assertTrue(!MergeRuleLib.areValid(MergeRule.Mean, packed, QUORUM), "a bit too many");
    }

    function testFuzz_floorDiv__ofAnyQuotient__isTheGreatestThatFits(int128 numerator, uint64 denominator) public pure {
        int256 divisor = int256(uint256(denominator)) + 1;
        int256 left = numerator - MergeRuleLib.floorDiv(numerator, divisor) * divisor;
        assertTrue(left >= 0 && left < divisor, "remainder");
    }

    function testFuzz_merge__whenUpdatesAreReordered__isTheSame(int16[40] memory drawn, uint256 rotation) public pure {
        bytes memory scales = new bytes(40 * 3);
        for (uint256 k = 0; k < scales.length; k += 3) {
            scales[k] = 0x01; // 65536
        }
        for (uint256 rule = 0; rule <= uint256(MergeRule.CenteredClip); ++rule) {
            (int256[] memory values, int256[] memory rotated) = (new int256[](40), new int256[](40));
            for (uint256 k = 0; k < 40; ++k) {
                values[k] = drawn[k];
                rotated[(k + rotation % 40) % 40] = drawn[k];
            }
            Parameters memory parameters = Parameters(65_536, 9, rule == 1 ? 3 : 0, 1, 1, 1, 0);
            (int256 one, int256 two) = MergeRuleLib.merge(MergeRule(rule), parameters, 5, -6, values, scales);
            (int256 other, int256 another) = MergeRuleLib.merge(MergeRule(rule), parameters, 5, -6, rotated, scales);
            assertTrue(one == other && two == another, "reordered");
        }
    }

    function test_merge__whenScalesAreMissing__isRefused() public {
        Parameters memory parameters = Parameters(65_536, 0, 0, 2, 2, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(MergeRuleLib.TooFewScales.selector, 17, 18));
        this.merge(MergeRule.CenteredClip, parameters, new int256[](5), new bytes(17));
    }

    function test_distanceTerm__beforeTheFirstIteration__needsOneBucketAlone() public pure {
        Parameters memory parameters = Parameters(65_536, 0, 0, 2, 2, 1, 0);
        (int256[] memory values, int256[] memory bucket) = (new int256[](4), new int256[](2));
        (values[2], values[3]) = (-77, 500);
        (bucket[0], bucket[1]) = (-77, 500);
        uint256 whole = MergeRuleLib.distanceTerm(parameters, -999, values, "", 1, 0);
        assertEq(MergeRuleLib.distanceTerm(parameters, -999, bucket, "", 0, 0), whole, "term");
        assertEq(whole, 215 ** 2, "by hand"); // (54144 + 999 + 128) // 256 = 215
    }

    // --- gas ---

    function test_merge__ofTheMostUpdates__fitsABlockManyTimes() public view {
        for (uint256 rule = 0; rule <= uint256(MergeRule.CenteredClip); ++rule) {
            int256[] memory values = new int256[](256);
            for (uint256 k = 0; k < values.length; ++k) {
                values[k] = int16(uint16(uint256(keccak256(abi.encode(k)))));
            }
            Parameters memory parameters = Parameters(65_536, 0, rule == 1 ? 9 : 0, 1, 4, 1, 0);
            uint256 before = gasleft();
            this.merge(MergeRule(rule), parameters, values, new bytes(256 * 4 * 3));
            assertLe(before - gasleft(), 1_500_000, "gas");
        }
    }

    function test_distanceTerm__ofAChunkOf128Updates__leavesRoomInABlock() public view {
        Parameters memory parameters = Parameters(65_536, 0, 0, 1, 4, 1, 0);
        uint256 before = gasleft();
        this.distanceTerm(parameters, new int256[](128), new bytes(128 * 4 * 3));
        assertLe((before - gasleft()) * 128, 13_000_000, "gas");
    }

    // --- doors ---

    function merge(MergeRule rule, Parameters memory parameters, int256[] memory values, bytes memory scales)
        external
        pure
        returns (int256, int256)
    {
        return MergeRuleLib.merge(rule, parameters, 5, -6, values, scales);
    }

    function distanceTerm(Parameters memory parameters, int256[] memory values, bytes memory scales)
        external
        pure
        returns (uint256)
    {
        return MergeRuleLib.distanceTerm(parameters, -6, values, scales, 7, parameters.iterations - 1);
    }

    function checkMerge(string calldata json, string calldata at) external pure {
        MergeRule rule = MergeRule(vm.parseJsonUint(json, _key(at, "rule")));
        Parameters memory parameters = MergeRuleLib.unpack(vm.parseJsonBytes32(json, _key(at, "parameters")));
        int256[] memory planes = _ints(json, _key(at, "planes"));
        int256[] memory expected = _ints(json, _key(at, "merged"));
        int256[] memory values = _ints(json, _key(at, "values"));
        bytes memory scales = vm.parseJsonBytes(json, _key(at, "scales"));
        (int256 accumulator, int256 previous) =
            MergeRuleLib.merge(rule, parameters, planes[0], planes[1], values, scales);
        assertTrue(accumulator == expected[0], string.concat("accumulator of ", at));
        assertTrue(previous == expected[1], string.concat("previous of ", at));
    }

    function checkTerms(string calldata json, string calldata at) external pure {
        uint256[] memory expected = vm.parseJsonUintArray(json, _key(at, "terms"));
        if (expected.length == 0) return;
        Parameters memory parameters = MergeRuleLib.unpack(vm.parseJsonBytes32(json, _key(at, "parameters")));
        int256[] memory planes = _ints(json, _key(at, "planes"));
        bytes memory scales = vm.parseJsonBytes(json, _key(at, "scales"));
        uint256 buckets = expected.length / parameters.iterations;
        int256[] memory values = _ints(json, _key(at, "values"));
        for (uint256 pair = 0; pair < expected.length; ++pair) {
            int256[] memory used = abi.decode(abi.encode(values), (int256[]));
            assertEq(
                MergeRuleLib.distanceTerm(parameters, planes[1], used, scales, pair % buckets, pair / buckets),
                expected[pair],
                at
            );
        }
    }

    // --- internal ---

    function _requireCount(string memory json, string memory name, uint256 count) private view {
        assertTrue(vm.keyExistsJson(json, _vector(name, count - 1)), "the last");
        assertTrue(!vm.keyExistsJson(json, _vector(name, count)), "one more");
    }

    function _ints(string memory json, string memory key) private pure returns (int256[] memory) {
        return SignedVm(address(vm)).parseJsonIntArray(json, key);
    }

    function _vector(string memory name, uint256 k) private pure returns (string memory) {
        return string.concat(".", name, "[", vm.toString(k), "]");
    }

    function _key(string memory at, string memory name) private pure returns (string memory) {
        return string.concat(at, ".", name);
    }
}
