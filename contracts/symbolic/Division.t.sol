// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BitsLib} from "../src/libraries/BitsLib.sol";
import {MergeRuleLib} from "../src/libraries/MergeRuleLib.sol";

/// @notice Proofs about rounding and counting, for all inputs in the named ranges.
contract DivisionSymbolic {
    function check_floorDiv__byTheGuard__isTheShift(int256 numerator) external pure {
        assert(MergeRuleLib.floorDiv(numerator, 256) == numerator >> 8);
    }

    function check_floorDiv__byOneBucketsWeight__isTheShift(int256 numerator) external pure {
        assert(MergeRuleLib.floorDiv(numerator, 65_536) == numerator >> 16);
    }

    function check_floorDiv__byTwo__isTheShift(int32 numerator) external pure {
        assert(MergeRuleLib.floorDiv(numerator, 2) == int256(numerator) >> 1);
    }

    function check_floorDiv__byAnyNumber__isTruncationExceptBelowZero(int256 numerator, int256 denominator)
        external
        pure
    {
        if (denominator <= 0) return;
        int256 quotient = MergeRuleLib.floorDiv(numerator, denominator);
        unchecked {
            bool isBelow = numerator % denominator < 0;
            assert(quotient == numerator / denominator - (isBelow ? int256(1) : int256(0)));
        }
    }

    function check_countOnes__of16Bits__isTheirSum(uint16 word) external pure {
        uint256 count = 0;
        for (uint256 bit = 0; bit < 16; ++bit) {
            count += word >> bit & 1;
        }
        assert(BitsLib.countOnes(word) == count);
    }
}
