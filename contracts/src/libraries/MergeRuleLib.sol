// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRule} from "../Types.sol";

/// @notice A merge rule's numbers, unpacked. See docs/PROTOCOL.md, section 7.
struct Parameters {
    uint32 eta; // learning rate in units of 2^-16
    uint16 beta; // server momentum in units of 2^-16
    uint8 trim; // values dropped at each end
    uint8 bucket; // updates a bucket
    uint8 iterations; // of clipping
    uint32 tau; // clipping radius in grid units
}

/// @title MergeRuleLib
/// @notice Every merge rule at one coordinate, in exact integers; every division floors. See docs/PROTOCOL.md, section 7.
/// @dev Values are in grid units, accumulators and aggregates in units 256 times finer. The twin in Python is
/// `node/merging.py`; both are held to one set of vectors and to a fuzzed comparison.
library MergeRuleLib {
    int256 private constant GUARD = 256;
    int256 private constant ONE = 65_536;
    uint256 private constant SCALE_BYTES = 3;
    uint256 private constant USED_BITS = 104;

    uint256 private constant MOST_TRIM = 127;
    uint256 private constant MOST_BUCKET = 16;
    uint256 private constant MOST_ITERATIONS = 4;

    // --- parameters ---

    function unpack(bytes32 packed) internal pure returns (Parameters memory parameters) {
        uint256 word = uint256(packed);
        parameters.eta = uint32(word);
        parameters.beta = uint16(word >> 32);
        parameters.trim = uint8(word >> 48);
        parameters.bucket = uint8(word >> 56);
        parameters.iterations = uint8(word >> 64);
        parameters.tau = uint32(word >> 72);
    }

    /// @notice Whether every field is in its range, and 0 where `rule` does not use it.
    function areValid(MergeRule rule, bytes32 packed, uint16 minUpdates) internal pure returns (bool) {
        Parameters memory p = unpack(packed);
        if (uint256(packed) >> USED_BITS != 0 || p.eta == 0) return false;
        bool trims = p.trim != 0 && p.trim <= MOST_TRIM && 2 * uint256(p.trim) < minUpdates;
        if (rule == MergeRule.TrimmedMean ? !trims : p.trim != 0) return false;
        if (rule != MergeRule.CenteredClip) return p.bucket == 0 && p.iterations == 0 && p.tau == 0;
        return
            p.bucket != 0 && p.bucket <= MOST_BUCKET && p.iterations != 0 && p.iterations <= MOST_ITERATIONS
                && p.tau != 0;
    }

    /// @notice How many planes a state has: the accumulators and, where one is kept, the previous aggregate.
    function planes(MergeRule rule, Parameters memory parameters) internal pure returns (uint256) {
        return parameters.beta != 0 || rule == MergeRule.CenteredClip ? 2 : 1;
    }

    // --- merging ---

    /// @notice The new accumulator and previous aggregate at one coordinate.
    /// @param values of the accepted updates; for `CenteredClip` in bucket order. Sorted in place by some rules.
    /// @param scales entry (iteration * buckets + bucket), 3 bytes big-endian each
    function merge(
        MergeRule rule,
        Parameters memory parameters,
        int256 accumulator,
        int256 previous,
        int256[] memory values,
        bytes memory scales
    ) internal pure returns (int256 newAccumulator, int256 newPrevious) {
        uint256 count = values.length;
        if (count == 0) return (accumulator, previous);
        int256 aggregate;
        if (rule == MergeRule.Mean) {
            aggregate = _trimmed(values, 0);
        } else if (rule == MergeRule.TrimmedMean) {
            if (count <= 2 * uint256(parameters.trim)) return (accumulator, previous);
            _sort(values);
            aggregate = _trimmed(values, parameters.trim);
        } else if (rule == MergeRule.Median) {
            _sort(values);
            aggregate = _trimmed(values, (count - 1) / 2);
        } else {
            aggregate = _clipped(parameters, previous, values, scales, parameters.iterations);
        }
        int256 beta = int256(uint256(parameters.beta));
        newPrevious = floorDiv(beta * previous + (ONE - beta) * aggregate, ONE);
        newAccumulator = accumulator + floorDiv(int256(uint256(parameters.eta)) * newPrevious, ONE);
        if (newAccumulator > type(int32).max) newAccumulator = type(int32).max;
        if (newAccumulator < type(int32).min) newAccumulator = type(int32).min;
    }

    /// @notice `numerator / denominator`, rounded down; Solidity's own division rounds towards zero.
    function floorDiv(int256 numerator, int256 denominator) internal pure returns (int256 quotient) {
        quotient = numerator / denominator;
        if (numerator % denominator < 0) --quotient;
    }

    // --- clipping ---

    /// @notice Put reveal indices in the order in which buckets take them.
    function bucketOrder(uint256[] memory indices, bytes32 seed) internal pure {
        if (indices.length == 0) return;
        for (uint256 i = indices.length - 1; i > 0; --i) {
            uint256 j = uint256(keccak256(abi.encode(seed, i))) % (i + 1);
            (indices[i], indices[j]) = (indices[j], indices[i]);
        }
    }

    /// @notice Whether `scale` is the one that follows from a bucket's squared distance.
    function isScale(uint256 scale, uint256 squaredDistance, uint256 tau) internal pure returns (bool) {
        if (squaredDistance <= tau * tau) return scale == uint256(ONE);
        uint256 most = tau * tau << 32;
        return scale * scale * squaredDistance <= most && (scale + 1) * (scale + 1) * squaredDistance > most;
    }

    /// @notice What one coordinate adds to a bucket's squared distance before `iteration`.
    function distanceTerm(
        Parameters memory parameters,
        int256 previous,
        int256[] memory values,
        bytes memory scales,
        uint256 bucket,
        uint256 iteration
    ) internal pure returns (uint256) {
        int256 centre = _clipped(parameters, previous, values, scales, iteration);
        int256 distance = _bucketMean(values, parameters.bucket, bucket) - centre;
        distance = floorDiv(distance + GUARD / 2, GUARD);
        return uint256(distance * distance);
    }

    // --- internal ---

    /// @dev The centre after `iterations` steps from `centre`.
    function _clipped(
        Parameters memory parameters,
        int256 centre,
        int256[] memory values,
        bytes memory scales,
        uint256 iterations
    ) private pure returns (int256) {
        if (iterations == 0) return centre;
        uint256 buckets = (values.length + parameters.bucket - 1) / parameters.bucket;
        int256[] memory means = new int256[](buckets);
        for (uint256 j = 0; j < buckets; ++j) {
            means[j] = _bucketMean(values, parameters.bucket, j);
        }
        for (uint256 step = 0; step < iterations; ++step) {
            int256 pull = 0;
            for (uint256 j = 0; j < buckets; ++j) {
                pull += _scaleAt(scales, step * buckets + j) * (means[j] - centre);
            }
            centre += floorDiv(pull, ONE * int256(buckets));
        }
        return centre;
    }

    function _scaleAt(bytes memory scales, uint256 pair) private pure returns (int256) {
        uint256 at = SCALE_BYTES * pair;
        return
            int256(
                uint256(uint8(scales[at])) << 16 | uint256(uint8(scales[at + 1])) << 8 | uint256(uint8(scales[at + 2]))
            );
    }

    function _bucketMean(int256[] memory values, uint256 size, uint256 bucket) private pure returns (int256) {
        uint256 start = bucket * size;
        uint256 end = start + size < values.length ? start + size : values.length;
        int256 sum = 0;
        for (uint256 k = start; k < end; ++k) {
            sum += values[k];
        }
        return floorDiv(GUARD * sum, int256(end - start));
    }

    /// @dev The mean of sorted values without `trim` at each end.
    function _trimmed(int256[] memory values, uint256 trim) private pure returns (int256) {
        int256 sum = 0;
        for (uint256 k = trim; k < values.length - trim; ++k) {
            sum += values[k];
        }
        return floorDiv(GUARD * sum, int256(values.length - 2 * trim));
    }

    /// @dev By insertion: at most 256 values, and cheap where they are few.
    function _sort(int256[] memory values) private pure {
        unchecked {
            for (uint256 k = 1; k < values.length; ++k) {
                int256 value = values[k];
                uint256 place = k;
                for (; place > 0 && values[place - 1] > value; --place) {
                    values[place] = values[place - 1];
                }
                values[place] = value;
            }
        }
    }
}
