// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ScoreLib
/// @notice How several reports on one round become one weight an update. A report has a part of 32 bits an update, by
/// reveal index, 8 in a word, the first in the highest bits: the update's part of the pay in units of 2^-32.
library ScoreLib {
    uint256 private constant PARTS = 8; // in a word
    uint256 private constant PART_BITS = 32;
    uint256 private constant TOP = 256 - PART_BITS;

    /// @notice How many words hold so many parts.
    function wordsFor(uint256 updates) internal pure returns (uint256) {
        return (updates + PARTS - 1) / PARTS;
    }

    /// @notice The word that holds a part.
    function wordOf(uint256 update) internal pure returns (uint256) {
        return update / PARTS;
    }

    /// @notice A part of the word that holds it.
    function partOf(uint256 word, uint256 update) internal pure returns (uint256) {
        unchecked {
            return uint32(word >> TOP - PART_BITS * (update % PARTS));
        }
    }

    /// @notice Whether a report's last word holds nothing beyond its last part.
    function endsAt(uint256[] memory report, uint256 updates) internal pure returns (bool) {
        uint256 used = updates % PARTS;
        return used == 0 || report[report.length - 1] << PART_BITS * used == 0;
    }

    /// @notice What the parts add up to.
    function sum(uint256[] memory report) internal pure returns (uint256 total) {
        unchecked {
            for (uint256 k = 0; k < report.length; ++k) {
                for (uint256 word = report[k]; word != 0; word <<= PART_BITS) {
                    total += word >> TOP;
                }
            }
        }
    }

    /// @notice The median of the reports for each update, the lower one of an even number; 0 for a rejected update.
    /// Empty reports are none; there must be one that is not.
    function medians(uint256[][] memory reports, uint256 updates, uint256 rejected)
        internal
        pure
        returns (uint256[] memory weights)
    {
        weights = new uint256[](wordsFor(updates));
        uint256[] memory sorted = new uint256[](reports.length);
        unchecked {
            for (uint256 k = 0; k < updates; ++k) {
                if (rejected >> k & 1 == 1) continue;
                uint256 count = 0;
                for (uint256 j = 0; j < reports.length; ++j) {
                    if (reports[j].length != 0) _insert(sorted, count++, partOf(reports[j][k / PARTS], k));
                }
                weights[k / PARTS] |= sorted[(count - 1) / 2] << TOP - PART_BITS * (k % PARTS);
            }
        }
    }

    /// @notice The weight 1 for each update that was not rejected.
    function equal(uint256 updates, uint256 rejected) internal pure returns (uint256[] memory weights) {
        weights = new uint256[](wordsFor(updates));
        for (uint256 k = 0; k < updates; ++k) {
            weights[k / PARTS] |= (~rejected >> k & 1) << TOP - PART_BITS * (k % PARTS);
        }
    }

    /// @notice How far a report is from the weights: the sum of the absolute differences.
    function distance(uint256[] memory report, uint256[] memory weights) internal pure returns (uint256 total) {
        unchecked {
            for (uint256 k = 0; k < weights.length; ++k) {
                (uint256 left, uint256 right) = (report[k], weights[k]);
                for (; left != right; (left, right) = (left << PART_BITS, right << PART_BITS)) {
                    (uint256 part, uint256 weight) = (left >> TOP, right >> TOP);
                    total += part < weight ? weight - part : part - weight;
                }
            }
        }
    }

    /// @notice What an update of `weight` gets of `pot`, floored.
    function shareDown(uint256 pot, uint256 weight, uint256 total) internal pure returns (uint256) {
        return pot * weight / total;
    }

    /// @notice What the floors of all shares leave of `pot`; all of it where nothing weighs.
    function leftover(uint256[] memory weights, uint256 pot, uint256 total) internal pure returns (uint256 rest) {
        rest = pot;
        for (uint256 k = 0; k < weights.length; ++k) {
            for (uint256 word = weights[k]; word != 0; word <<= PART_BITS) {
                rest -= shareDown(pot, word >> TOP, total);
            }
        }
    }

    /// @dev Puts `value` where it belongs among the first `count` entries, which are in order.
    function _insert(uint256[] memory sorted, uint256 count, uint256 value) private pure {
        unchecked {
            for (; count != 0; --count) {
                uint256 below = sorted[count - 1];
                if (below <= value) break;
                sorted[count] = below;
            }
            sorted[count] = value;
        }
    }
}
