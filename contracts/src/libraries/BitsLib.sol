// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title BitsLib
/// @notice Counting and searching in words, without a step for each bit: a merge must cost the same for any bitmap.
library BitsLib {
    // every 2nd, 4th, ... field of so many bits
    uint256 private constant FIELDS_1 = type(uint256).max / 3;
    uint256 private constant FIELDS_2 = type(uint256).max / 5;
    uint256 private constant FIELDS_4 = type(uint256).max / 17;
    uint256 private constant FIELDS_8 = type(uint256).max / 257;
    uint256 private constant ONES_16 = type(uint256).max / 65_535;

    /// @notice How many bits of `word` are set.
    /// @dev Adds neighbouring fields of 1, 2, 4 and 8 bits; a product then adds the sixteen fields of 16 bits.
    function countOnes(uint256 word) internal pure returns (uint256) {
        unchecked {
            word = (word & FIELDS_1) + (word >> 1 & FIELDS_1);
            word = (word & FIELDS_2) + (word >> 2 & FIELDS_2);
            word = (word & FIELDS_4) + (word >> 4 & FIELDS_4);
            word = (word & FIELDS_8) + (word >> 8 & FIELDS_8);
            return word * ONES_16 >> 240;
        }
    }
}
