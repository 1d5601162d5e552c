// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title BitsLib
/// @notice Counting and searching in words, without a step for each bit: a merge must cost the same for any bitmap.
library BitsLib {
    uint256 private constant ALL = type(uint256).max;

    /// @notice How many bits of `word` are set.
    /// @dev Adds neighbouring fields of 1, 2, 4 and 8 bits; a product then adds the sixteen fields of 16 bits.
    function countOnes(uint256 word) internal pure returns (uint256) {
        unchecked {
            word = (word & ALL / 3) + (word >> 1 & ALL / 3);
            word = (word & ALL / 5) + (word >> 2 & ALL / 5);
            word = (word & ALL / 17) + (word >> 4 & ALL / 17);
            word = (word & ALL / 257) + (word >> 8 & ALL / 257);
            return word * (ALL / 65_535) >> 240;
        }
    }
}
