// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MergeRule} from "../src/Types.sol";
import {MergeRuleLib, Parameters} from "../src/libraries/MergeRuleLib.sol";
import {Test} from "./support/Test.sol";

/// @dev A chunk of random coordinates. Both languages draw its numbers from the seed's hashes, and shift them right.
struct Batch {
    MergeRule rule;
    bytes32 packed;
    bytes32 seed;
    uint256 count; // of updates
    uint256[3] shifts; // of accumulators, previous aggregates and values
    bytes scales;
    uint256 pair; // a bucket and iteration, if there are scales
    uint256 distance; // the chunk's part of its squared distance: all of it, as there is one chunk
    bytes32 result; // keccak of all accumulators and aggregates, as Python has them
}

/// @notice The part of forge's cheat codes that only this test uses.
interface MeteringVm {
    function pauseGasMetering() external pure;
}

/// @notice 102,400 random coordinates of each rule, merged by Python just before: both languages must have each one.
contract MergeDifferenceTest is Test {
    string private constant MERGES = "../tests/fixtures/random_merges.bin";
    uint256 private constant BATCHES = 800;
    uint256 private constant COORDINATES = 128;
    uint256 private constant HALF_WORDS = 16;

    function test_mean__asPythonHasIt__agreesInEveryBit() public view {
        _compareAll(MergeRule.Mean);
    }

    function test_trimmedMean__asPythonHasIt__agreesInEveryBit() public view {
        _compareAll(MergeRule.TrimmedMean);
    }

    function test_median__asPythonHasIt__agreesInEveryBit() public view {
        _compareAll(MergeRule.Median);
    }

    function test_centeredClip__asPythonHasIt__agreesInEveryBit() public view {
        _compareAll(MergeRule.CenteredClip);
    }

    /// @dev Called for its memory, which ends with it.
    function compare(Batch calldata batch) external pure {
        Parameters memory parameters = MergeRuleLib.unpack(batch.packed);
        bool hasTwoPlanes = MergeRuleLib.planes(batch.rule, parameters) == 2;
        uint256[] memory order = _order(batch, parameters);
        int256[] memory values = new int256[](batch.count);
        uint256[] memory hashes = new uint256[]((batch.count + 4 + HALF_WORDS - 1) / HALF_WORDS);
        bytes memory scales = batch.scales;
        uint256[] memory results = new uint256[](COORDINATES / 4); // 8 bytes each
        uint256 distance = 0;
        for (uint256 coordinate = 0; coordinate < COORDINATES; ++coordinate) {
            _hash(hashes, batch.seed, coordinate);
            int256 accumulator = int256(int32(uint32(hashes[0]))) >> batch.shifts[0];
            int256 previous = hasTwoPlanes ? int256(int32(uint32(hashes[0] >> 32))) >> batch.shifts[1] : int256(0);
            _draw(values, hashes, order, batch.shifts[2]);
            if (scales.length > 0) {
                uint256 buckets = scales.length / 3 / parameters.iterations;
                distance += MergeRuleLib.distanceTerm(
                    parameters, previous, values, scales, batch.pair % buckets, batch.pair / buckets
                );
                _draw(values, hashes, order, batch.shifts[2]);
            }
            (accumulator, previous) = MergeRuleLib.merge(batch.rule, parameters, accumulator, previous, values, scales);
            uint256 both = uint256(uint32(int32(accumulator))) << 32 | uint32(int32(previous));
            results[coordinate / 4] = results[coordinate / 4] << 64 | both;
        }
        assertEq(keccak256(abi.encodePacked(results)), batch.result, "coordinates");
        assertEq(distance, batch.distance, "squared distance");
        if (batch.scales.length > 0) {
            uint256 scale = uint24(bytes3(batch.scales[3 * batch.pair:3 * batch.pair + 3]));
            assertTrue(MergeRuleLib.isScale(scale, distance, parameters.tau), "scale");
        }
    }

    function _compareAll(MergeRule rule) private view {
        MeteringVm(address(vm)).pauseGasMetering();
        bytes[] memory rules = abi.decode(vm.readFileBinary(MERGES), (bytes[]));
        Batch[] memory batches = abi.decode(rules[uint256(rule)], (Batch[]));
        assertEq(batches.length, BATCHES, "number of batches");
        for (uint256 k = 0; k < batches.length; ++k) {
            assertEq(uint256(batches[k].rule), uint256(rule), "rule");
            this.compare(batches[k]);
        }
    }

    /// @dev By rising reveal index, unless buckets have several.
    function _order(Batch calldata batch, Parameters memory parameters) private pure returns (uint256[] memory order) {
        order = new uint256[](batch.count);
        for (uint256 k = 0; k < order.length; ++k) {
            order[k] = k;
        }
        if (parameters.bucket > 1) MergeRuleLib.bucketOrder(order, batch.seed);
    }

    /// @dev Sixteen numbers of 16 bits each, the lowest first; the first four are the planes.
    function _hash(uint256[] memory hashes, bytes32 seed, uint256 coordinate) private pure {
        for (uint256 k = 0; k < hashes.length; ++k) {
            hashes[k] = uint256(Hashes.efficientKeccak256(seed, bytes32(coordinate * hashes.length + k)));
        }
    }

    function _draw(int256[] memory values, uint256[] memory hashes, uint256[] memory order, uint256 shift)
        private
        pure
    {
        unchecked {
            for (uint256 k = 0; k < values.length; ++k) {
                uint256 place = order[k] + 4;
                values[k] = int256(int16(uint16(hashes[place / HALF_WORDS] >> 16 * (place % HALF_WORDS)))) >> shift;
            }
        }
    }
}
