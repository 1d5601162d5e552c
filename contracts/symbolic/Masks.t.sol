// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MaskLib} from "../src/libraries/MaskLib.sol";

/// @notice Proofs about group sums, for all values and masks. The table names no mask here: what is left is what members
/// put on for each other.
contract MasksSymbolic {
    int256 private constant MOST = 32_767;

    /// @dev A group of two rows without masks.
    bytes private constant TABLE = hex"00000000";

    function check_groupSums__ofPairwiseMasks__isTheSumOfTheValues(int16 first, int16 second, uint32 mask)
        external
        view
    {
        if (first < -MOST || second < -MOST) return;
        unchecked {
            (int256 sum, int256 size) = this.sums(TABLE, uint32(int32(first)) + mask, uint32(int32(second)) - mask);
            assert(sum == int256(first) + second && size == 2);
        }
    }

    function check_groupSums__ofAnyValues__areWhatAGroupCanHave(uint32 first, uint32 second) external view {
        (int256 sum,) = this.sums(TABLE, first, second);
        assert(sum <= 2 * MOST && sum >= -2 * MOST);
    }

    function sums(bytes calldata table, uint32 first, uint32 second) external pure returns (int256, int256) {
        uint256[] memory rows = new uint256[](2);
        rows[1] = 2;
        uint32[] memory values = new uint32[](2);
        (values[0], values[1]) = (first, second);
        (int256[] memory all, int256[] memory sizes) = MaskLib.groupSums(table, rows, 1, 0, values);
        return (all[0], sizes[0]);
    }
}
