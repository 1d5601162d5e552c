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
    uint8 attackers; // faulty updates that the rule is to withstand
}

/// @title MergeRuleLib
/// @notice Every merge rule at one coordinate, in exact integers; every division floors. See docs/PROTOCOL.md, section 7.
/// @dev Values are in grid units, accumulators and aggregates in units 256 times finer. The twin in Python is
/// `node/merge_arithmetic.py`; both are held to one set of vectors and to a fuzzed comparison.
library MergeRuleLib {
    int256 private constant GUARD = 256;
    int256 private constant ONE = 65_536;
    uint256 private constant GUARD_BITS = 8;
    uint256 private constant RATE_BITS = 16;
    uint256 private constant SCALE_BYTES = 3;
    uint256 private constant USED_BITS = 112;

    uint256 private constant MOST_TRIM = 127;
    uint256 private constant MOST_BUCKET = 16;
    uint256 private constant MOST_ITERATIONS = 4;

    /// @dev The strides of `_sort`, a byte each, the first in the lowest: 132, 57, 23, 10, 4, 1 (Ciura).
    uint256 private constant STRIDES = 0x01040a173984;

    error TooFewScales(uint256 length, uint256 needed);

    // --- parameters ---

    function unpack(bytes32 packed) internal pure returns (Parameters memory parameters) {
        uint256 word = uint256(packed);
        parameters.eta = uint32(word);
        parameters.beta = uint16(word >> 32);
        parameters.trim = uint8(word >> 48);
        parameters.bucket = uint8(word >> 56);
        parameters.iterations = uint8(word >> 64);
        parameters.tau = uint32(word >> 72);
        parameters.attackers = uint8(word >> 104);
    }

    /// @notice Whether every field is in its range, and 0 where `rule` does not use it.
    function areValid(MergeRule rule, bytes32 packed, uint16 minUpdates) internal pure returns (bool) {
        Parameters memory p = unpack(packed);
        if (uint256(packed) >> USED_BITS != 0 || p.eta == 0) return false;
        bool trims = p.trim != 0 && p.trim <= MOST_TRIM && 2 * uint256(p.trim) < minUpdates;
        if (rule == MergeRule.TrimmedMean ? !trims : p.trim != 0) return false;
        bool clips = p.bucket != 0 && p.bucket <= MOST_BUCKET && p.iterations != 0 && p.iterations <= MOST_ITERATIONS
            && p.tau != 0;
        if (rule == MergeRule.CenteredClip ? !clips : p.bucket != 0 || p.iterations != 0 || p.tau != 0) return false;
        return _withstands(rule, p, minUpdates);
    }

    /// @notice Whether a proof can compute the rule again at one coordinate. Of the others every update must be read whole.
    function isProvable(MergeRule rule) internal pure returns (bool) {
        return rule <= MergeRule.CenteredClip;
    }

    /// @notice How many planes a state has: the accumulators and, where one is kept, the previous aggregate.
    function planes(MergeRule rule, Parameters memory parameters) internal pure returns (uint256) {
        return parameters.beta != 0 || rule == MergeRule.CenteredClip ? 2 : 1;
    }

    // --- merging ---

    /// @notice The new accumulator and previous aggregate at one coordinate; the latter is 0 where none is kept.
    /// @dev No int16 values and int32 planes overflow anything here.
    /// @param values of the accepted updates; for `CenteredClip` in bucket order. Overwritten by all rules but `Mean`.
    /// @param scales entry (iteration * buckets + bucket), 3 bytes big-endian each
    function merge(
        MergeRule rule,
        Parameters memory parameters,
        int256 accumulator,
        int256 previous,
        int256[] memory values,
        bytes memory scales
    ) internal pure returns (int256 newAccumulator, int256 newPrevious) {
        int256 aggregate;
        if (rule == MergeRule.CenteredClip) {
            if (values.length == 0) return (accumulator, previous);
            uint256 buckets = _toBucketMeans(values, parameters.bucket);
            aggregate = _clipped(previous, values, buckets, scales, parameters.iterations);
        } else {
            uint256 trim = _trimOf(rule, parameters, values.length);
            if (values.length <= 2 * trim) return (accumulator, previous);
            if (trim != 0) _sort(values);
            aggregate = _mean(values, trim, values.length - trim);
        }
        return _step(parameters, accumulator, previous, aggregate, planes(rule, parameters) == 2);
    }

    /// @notice The same from means in the finer units, of groups; for `Mean`, from the mean of all updates.
    /// @param means overwritten by all rules but `Mean`
    function mergeMeans(
        MergeRule rule,
        Parameters memory parameters,
        int256 accumulator,
        int256 previous,
        int256[] memory means
    ) internal pure returns (int256 newAccumulator, int256 newPrevious) {
        uint256 trim = _trimOf(rule, parameters, means.length);
        if (means.length <= 2 * trim) return (accumulator, previous);
        if (trim != 0) _sort(means);
        int256 aggregate = floorDiv(_sum(means, trim, means.length - trim), int256(means.length - 2 * trim));
        return _step(parameters, accumulator, previous, aggregate, planes(rule, parameters) == 2);
    }

    /// @notice `numerator / denominator`, rounded down; Solidity's own division rounds towards zero.
    /// @param denominator > 0
    function floorDiv(int256 numerator, int256 denominator) internal pure returns (int256 quotient) {
        unchecked {
            quotient = numerator / denominator;
            if (numerator % denominator < 0) --quotient;
        }
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
    /// @param squaredDistance a uint64
    /// @param tau a uint32
    function isScale(uint256 scale, uint256 squaredDistance, uint256 tau) internal pure returns (bool) {
        bool isNear = squaredDistance <= tau * tau;
        if (isNear || scale >= uint256(ONE)) return isNear && scale == uint256(ONE);
        uint256 most = tau * tau << 2 * RATE_BITS;
        return scale * scale * squaredDistance <= most && (scale + 1) * (scale + 1) * squaredDistance > most;
    }

    /// @notice What one coordinate adds to a bucket's squared distance before `iteration`.
    /// @dev Before the first iteration (0) neither scales nor other buckets matter: `values` may then be those of the
    /// one bucket, which is bucket 0.
    /// @param values in bucket order; overwritten
    function distanceTerm(
        Parameters memory parameters,
        int256 previous,
        int256[] memory values,
        bytes memory scales,
        uint256 bucket,
        uint256 iteration
    ) internal pure returns (uint256) {
        uint256 buckets = _toBucketMeans(values, parameters.bucket);
        int256 distance = values[bucket] - _clipped(previous, values, buckets, scales, iteration);
        distance = distance + GUARD / 2 >> GUARD_BITS;
        return uint256(distance * distance);
    }

    // --- internal ---

    /// @dev Whether the rule can withstand so many faulty among `least` updates.
    function _withstands(MergeRule rule, Parameters memory p, uint256 least) private pure returns (bool) {
        uint256 attackers = p.attackers;
        if (rule == MergeRule.Mean) return attackers == 0;
        if (rule == MergeRule.TrimmedMean) return attackers <= p.trim;
        if (rule == MergeRule.CenteredClip) return 2 * attackers < (least + p.bucket - 1) / p.bucket;
        if (rule == MergeRule.MultiKrum) return attackers != 0 && 2 * attackers + 2 < least;
        if (rule == MergeRule.NearestNeighbours && attackers == 0) return false;
        return 2 * attackers < least;
    }

    function _trimOf(MergeRule rule, Parameters memory parameters, uint256 count) private pure returns (uint256) {
        if (rule == MergeRule.Median) return count == 0 ? 0 : (count - 1) / 2;
        return parameters.trim;
    }

    /// @dev The server's step with an aggregate.
    function _step(
        Parameters memory parameters,
        int256 accumulator,
        int256 previous,
        int256 aggregate,
        bool keepsPrevious
    ) private pure returns (int256 newAccumulator, int256 newPrevious) {
        int256 beta = int256(uint256(parameters.beta));
        newPrevious = beta * previous + (ONE - beta) * aggregate >> RATE_BITS;
        newAccumulator = accumulator + (int256(uint256(parameters.eta)) * newPrevious >> RATE_BITS);
        if (newAccumulator > type(int32).max) newAccumulator = type(int32).max;
        if (newAccumulator < type(int32).min) newAccumulator = type(int32).min;
        if (!keepsPrevious) newPrevious = 0;
    }

    /// @dev The centre after `iterations` steps from `centre`, given the buckets' means.
    function _clipped(int256 centre, int256[] memory means, uint256 buckets, bytes memory scales, uint256 iterations)
        private
        pure
        returns (int256)
    {
        uint256 needed = SCALE_BYTES * buckets * iterations;
        require(scales.length >= needed, TooFewScales(scales.length, needed));
        int256 weight = ONE * int256(buckets);
        uint256 at;
        assembly ("memory-safe") {
            at := add(scales, 32)
        }
        for (uint256 step = 0; step < iterations; ++step) {
            int256 pull = 0;
            // the sum of `scale * (mean - centre)`: a distance is 128 of these for each bucket and iteration
            assembly ("memory-safe") {
                let mean := add(means, 32)
                for { let end := add(mean, mul(32, buckets)) } lt(mean, end) { mean := add(mean, 32) } {
                    pull := add(pull, mul(shr(232, mload(at)), sub(mload(mean), centre)))
                    at := add(at, SCALE_BYTES)
                }
            }
            centre += floorDiv(pull, weight);
        }
        return centre;
    }

    /// @dev Put each bucket's mean at its index. No bucket starts before its index, so none is lost.
    function _toBucketMeans(int256[] memory values, uint256 size) private pure returns (uint256 buckets) {
        uint256 count = values.length;
        unchecked {
            if (size == 1) {
                for (; buckets < count; ++buckets) {
                    values[buckets] *= GUARD;
                }
                return buckets;
            }
            for (uint256 start = 0; start < count; start += size) {
                values[buckets++] = _mean(values, start, start + size < count ? start + size : count);
            }
        }
    }

    /// @dev The mean of some values, in the finer units.
    function _mean(int256[] memory values, uint256 start, uint256 end) private pure returns (int256) {
        unchecked {
            return floorDiv(GUARD * _sum(values, start, end), int256(end - start));
        }
    }

    function _sum(int256[] memory values, uint256 start, uint256 end) private pure returns (int256 sum) {
        unchecked {
            for (uint256 k = start; k < end; ++k) {
                sum += values[k];
            }
        }
    }

    /// @dev Shell's sort: short, in place, and cheap up to the 256 values that there may be, whatever their order.
    function _sort(int256[] memory values) private pure {
        unchecked {
            for (uint256 strides = STRIDES; strides != 0; strides >>= 8) {
                uint256 stride = strides & 0xff;
                for (uint256 k = stride; k < values.length; ++k) {
                    int256 value = values[k];
                    uint256 place = k;
                    for (; place >= stride && values[place - stride] > value; place -= stride) {
                        values[place] = values[place - stride];
                    }
                    values[place] = value;
                }
            }
        }
    }
}
