// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title ChaCha20Lib
/// @notice The ChaCha20 block function of RFC 8439, and the masks that it makes. See docs/PROTOCOL.md, section 16.
/// @dev The state's four rows are a word each: four lanes of 64 bits, the first in the highest, with a 32-bit number
/// in each lane's lower half. So one addition adds four, and what a rotation pushes out of a number falls into the
/// empty half, from where `LANES` takes it away.
library ChaCha20Lib {
    uint256 private constant LANES = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant HALVES = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
    uint256 private constant ODD_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant ODD_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;

    /// @dev "expand 32-byte k", in lanes.
    uint256 private constant CONSTANTS = 0x61707865000000003320646e0000000079622d32000000006b206574;

    uint256 private constant DOUBLE_ROUNDS = 10;
    uint256 private constant WORDS = 16;

    /// @notice Block `counter` of the key stream: its first and its last 32 bytes.
    function keyStream(bytes32 key, uint32 counter, bytes12 nonce)
        internal
        pure
        returns (bytes32 first, bytes32 second)
    {
        (uint256 a, uint256 b, uint256 c, uint256 d) = _block(key, counter, nonce);
        first = bytes32(_swapBytes(_packed(a) << 128 | _packed(b)));
        second = bytes32(_swapBytes(_packed(c) << 128 | _packed(d)));
    }

    /// @notice The mask of one coordinate under a seed: 32-bit little-endian number `coordinate` of the key stream with
    /// nonce 0.
    function maskAt(bytes32 seed, uint256 coordinate) internal pure returns (uint32) {
        (uint256 a, uint256 b, uint256 c, uint256 d) = _block(seed, uint32(coordinate / WORDS), 0);
        uint256 word = coordinate % WORDS;
        uint256 row = word < 8 ? (word < 4 ? a : b) : (word < 12 ? c : d);
        return uint32(row >> 64 * (3 - word % 4));
    }

    /// @dev The rows after 20 rounds, added to what they were before.
    function _block(bytes32 key, uint32 counter, bytes12 nonce)
        private
        pure
        returns (uint256 a, uint256 b, uint256 c, uint256 d)
    {
        unchecked {
            uint256 words = _swapBytes(uint256(key));
            (uint256 b0, uint256 c0) = (_lanes(words >> 128), _lanes(uint128(words)));
            uint256 d0 = _lanes(uint256(counter) << 96 | _swapBytes(uint256(uint96(nonce))));
            (a, b, c, d) = (CONSTANTS, b0, c0, d0);
            for (uint256 k = 0; k < DOUBLE_ROUNDS; ++k) {
                (a, b, c, d) = _quarterRounds(a, b, c, d);
                // the diagonals become columns, and columns again
                (b, c, d) = (b << 64 | b >> 192, c << 128 | c >> 128, d << 192 | d >> 64);
                (a, b, c, d) = _quarterRounds(a, b, c, d);
                (b, c, d) = (b << 192 | b >> 64, c << 128 | c >> 128, d << 64 | d >> 192);
            }
            (a, b, c, d) = (a + CONSTANTS & LANES, b + b0 & LANES, c + c0 & LANES, d + d0 & LANES);
        }
    }

    /// @dev A quarter round on each of the four columns.
    function _quarterRounds(uint256 a, uint256 b, uint256 c, uint256 d)
        private
        pure
        returns (uint256, uint256, uint256, uint256)
    {
        unchecked {
            a = a + b & LANES;
            d ^= a;
            d = (d << 16 | d >> 16) & LANES;
            c = c + d & LANES;
            b ^= c;
            b = (b << 12 | b >> 20) & LANES;
            a = a + b & LANES;
            d ^= a;
            d = (d << 8 | d >> 24) & LANES;
            c = c + d & LANES;
            b ^= c;
            b = (b << 7 | b >> 25) & LANES;
        }
        return (a, b, c, d);
    }

    /// @dev Four adjacent 32-bit numbers, each to the lower half of a lane.
    function _lanes(uint256 words) private pure returns (uint256) {
        words = (words << 64 | words) & HALVES;
        return (words << 32 | words) & LANES;
    }

    /// @dev The reverse of `_lanes`.
    function _packed(uint256 lanes) private pure returns (uint256) {
        lanes = (lanes >> 32 | lanes) & HALVES;
        return uint128(lanes >> 64 | lanes);
    }

    /// @dev Turn the byte order of each 32-bit number.
    function _swapBytes(uint256 words) private pure returns (uint256) {
        words = (words & ODD_BYTES) << 8 | words >> 8 & ODD_BYTES;
        return (words & ODD_PAIRS) << 16 | words >> 16 & ODD_PAIRS;
    }
}
