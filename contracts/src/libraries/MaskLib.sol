// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChaCha20Lib} from "./ChaCha20Lib.sol";
import {ChunkTreeLib} from "./ChunkTreeLib.sol";
import {MergeRuleLib} from "./MergeRuleLib.sol";
import {OpeningLib} from "./OpeningLib.sol";
import {SumNode, SumTreeLib} from "./SumTreeLib.sol";

/// @title MaskLib
/// @notice Masked updates: the leaf that commits to a member's seeds, the table of the masks that a merge takes away,
/// and the group sums that are left. See docs/PROTOCOL.md, section 16.
/// @dev The table's row of an accepted update is its group's number, the number of its masks, and these: slot, sign and
/// seed each. A slot is a peer's place in the key leaf; `SELF` is the member's own mask.
library MaskLib {
    using OpeningLib for bytes;

    /// @notice Bytes of a masked chunk, and of the key leaf.
    uint256 internal constant CHUNK = 4 * OpeningLib.COORDINATES;

    /// @notice The first byte of their leaves.
    bytes1 internal constant MASKED = 0x06;
    bytes1 internal constant KEYS = 0x07;

    /// @notice The slot of a member's own mask.
    uint256 internal constant SELF = 255;

    uint256 internal constant MOST_PEERS = 14;

    uint256 private constant ROW = 2;
    uint256 private constant ENTRY = 34;
    uint256 private constant SEED = 2; // where it begins in an entry

    uint256 private constant PEER_COUNT = 2; // where it stands in a key leaf
    uint256 private constant UNUSED = 3;
    uint256 private constant OWN_COMMITMENT = 4;
    uint256 private constant PEERS = 36;
    uint256 private constant PEER = 34;

    int256 private constant MOST_VALUE = 32_767;
    int256 private constant GUARD = 256;

    // --- trees ---

    /// @notice The root of the update in which `content` is leaf `index`. Masked leaves have no sum.
    function root(bytes1 tag, uint256 index, bytes calldata content, bytes calldata siblings)
        internal
        pure
        returns (bytes32)
    {
        bytes32 hash = ChunkTreeLib.leaf(tag, uint32(index), content);
        return SumNode.unwrap(SumTreeLib.climb(SumTreeLib.node(hash, 0), index, siblings));
    }

    /// @notice Leaves of an update of so many chunks: the key leaf is the last.
    function leavesOf(uint256 chunks) internal pure returns (uint256) {
        return chunks + 1;
    }

    // --- the key leaf ---

    /// @notice Whether it is the key leaf of the member with this index: its peers, 1 to 14, rise, without itself, and
    /// nothing else is in it.
    function isKeyLeaf(bytes calldata leaf, uint256 member) internal pure returns (bool) {
        uint256 count = peerCount(leaf);
        if (_uint16At(leaf, 0) != member || leaf[UNUSED] != 0) return false;
        if (count == 0 || count > MOST_PEERS) return false;
        for (uint256 slot = 0; slot < count; ++slot) {
            uint256 peer = peerAt(leaf, slot);
            if (peer == member || slot != 0 && peer <= peerAt(leaf, slot - 1)) return false;
        }
        for (uint256 at = PEERS + PEER * count; at < leaf.length; ++at) {
            if (leaf[at] != 0) return false;
        }
        return true;
    }

    function peerCount(bytes calldata leaf) internal pure returns (uint256) {
        return uint8(leaf[PEER_COUNT]);
    }

    /// @notice The member index of the peer in a slot.
    function peerAt(bytes calldata leaf, uint256 slot) internal pure returns (uint256) {
        return _uint16At(leaf, PEERS + PEER * slot);
    }

    /// @notice What the leaf says of the mask in a slot: the hash of its seed, and whether it was subtracted.
    function commitmentAt(bytes calldata leaf, uint256 slot) internal pure returns (bytes32 hash, bool subtracted) {
        if (slot == SELF) return (ChunkTreeLib.wordAt(leaf, OWN_COMMITMENT), false);
        return (ChunkTreeLib.wordAt(leaf, PEERS + PEER * slot + 2), _uint16At(leaf, 0) > peerAt(leaf, slot));
    }

    /// @dev The peer's slot as a bit; 0 if the member is no peer.
    function _slotOf(bytes calldata leaf, uint256 member) private pure returns (uint256 bit) {
        uint256 count = peerCount(leaf);
        for (uint256 slot = 0; slot < count; ++slot) {
            if (peerAt(leaf, slot) == member) return 1 << slot;
        }
        return 0;
    }

    // --- the table ---

    /// @notice Whether the table has its form; if so, where the rows of the accepted updates begin, and how many groups
    /// there are.
    function read(bytes calldata table, uint256 count)
        internal
        pure
        returns (bool isWellFormed, uint256[] memory rows, uint256 groups)
    {
        rows = new uint256[](count);
        uint256 at = 0;
        for (uint256 k = 0; k < count; ++k) {
            rows[k] = at;
            if (at + ROW > table.length) return (false, rows, groups);
            (uint256 group, uint256 entries) = (groupAt(table, at), maskCount(table, at));
            if (group > groups || entries == 0) return (false, rows, groups);
            if (group == groups) ++groups;
            at += ROW + ENTRY * entries;
            if (at > table.length || !_areMasks(table, rows[k])) return (false, rows, groups);
        }
        return (at == table.length, rows, groups);
    }

    /// @dev Whether a row's slots rise and exist, and its signs are signs.
    function _areMasks(bytes calldata table, uint256 row) private pure returns (bool) {
        uint256 entries = maskCount(table, row);
        uint256 least = 0;
        for (uint256 k = 0; k < entries; ++k) {
            (uint256 slot, uint256 sign,) = maskAt(table, row, k);
            if (slot < least || slot >= MOST_PEERS && slot != SELF) return false;
            if (sign > (slot == SELF ? 0 : 1)) return false;
            least = slot + 1;
        }
        return true;
    }

    function groupAt(bytes calldata table, uint256 row) internal pure returns (uint256) {
        return uint256(ChunkTreeLib.wordAt(table, row)) >> 248;
    }

    function maskCount(bytes calldata table, uint256 row) internal pure returns (uint256) {
        return uint8(uint256(ChunkTreeLib.wordAt(table, row)) >> 240);
    }

    /// @notice Mask `k` of a row. `sign` is 1 for one that was subtracted.
    function maskAt(bytes calldata table, uint256 row, uint256 k)
        internal
        pure
        returns (uint256 slot, uint256 sign, bytes32 seed)
    {
        uint256 at = row + ROW + ENTRY * k;
        uint256 word = uint256(ChunkTreeLib.wordAt(table, at));
        return (word >> 248, uint8(word >> 240), ChunkTreeLib.wordAt(table, at + SEED));
    }

    /// @notice Whether the table takes from the update at `position` exactly its own mask and those of peers who are not
    /// accepted, and has its accepted peers, and nobody else, in its group.
    /// @param rows of a well-formed table
    /// @param members the accepted updates' member indices
    function areRightMasks(
        bytes calldata table,
        uint256[] memory rows,
        uint256[] memory members,
        uint256 position,
        bytes calldata leaf
    ) internal pure returns (bool) {
        uint256 group = groupAt(table, rows[position]);
        uint256 expected = 1 << SELF | (1 << peerCount(leaf)) - 1;
        for (uint256 k = 0; k < members.length; ++k) {
            if (k == position) continue;
            uint256 bit = _slotOf(leaf, members[k]);
            if ((bit != 0) != (groupAt(table, rows[k]) == group)) return false;
            expected &= ~bit;
        }
        uint256 taken = 0;
        for (uint256 k = 0; k < maskCount(table, rows[position]); ++k) {
            (uint256 slot,,) = maskAt(table, rows[position], k);
            taken |= 1 << slot;
        }
        return taken == expected;
    }

    // --- group sums ---

    /// @notice What one coordinate's masked values leave of each group once the table's masks are taken away, and how
    /// many updates the group has.
    /// @dev A sum that honest updates can't have is brought to the nearest that they can: else one member could choose
    /// any sum, and what follows from it would not fit.
    /// @param rows of a well-formed table
    /// @param values the accepted updates' masked values
    function groupSums(
        bytes calldata table,
        uint256[] memory rows,
        uint256 groups,
        uint256 coordinate,
        uint32[] memory values
    ) internal pure returns (int256[] memory sums, int256[] memory sizes) {
        (sums, sizes) = (new int256[](groups), new int256[](groups));
        for (uint256 k = 0; k < rows.length; ++k) {
            uint256 group = groupAt(table, rows[k]);
            sizes[group] += 1;
            sums[group] += _unmasked(table, rows[k], coordinate, values[k]);
        }
        for (uint256 group = 0; group < groups; ++group) {
            int256 most = MOST_VALUE * sizes[group];
            int256 sum = int32(uint32(uint256(sums[group])));
            sums[group] = sum > most ? most : (sum < -most ? -most : sum);
        }
    }

    /// @dev Modulo 2^32; the other members' masks are still in it.
    function _unmasked(bytes calldata table, uint256 row, uint256 coordinate, uint32 value)
        private
        pure
        returns (int256)
    {
        uint256 entries = maskCount(table, row);
        unchecked {
            for (uint256 k = 0; k < entries; ++k) {
                (, uint256 sign, bytes32 seed) = maskAt(table, row, k);
                uint32 mask = ChaCha20Lib.maskAt(seed, coordinate);
                value = sign == 0 ? value - mask : value + mask;
            }
        }
        return int256(uint256(value));
    }

    /// @notice Each group's mean, in units 256 times finer.
    function means(int256[] memory sums, int256[] memory sizes) internal pure returns (int256[] memory each) {
        each = new int256[](sums.length);
        for (uint256 group = 0; group < sums.length; ++group) {
            each[group] = MergeRuleLib.floorDiv(GUARD * sums[group], sizes[group]);
        }
    }

    /// @notice The mean over all groups, alone in an array; none if there is no group.
    function meanOfAll(int256[] memory sums, int256[] memory sizes) internal pure returns (int256[] memory) {
        if (sums.length == 0) return sums;
        (int256[] memory sum, int256[] memory size) = (new int256[](1), new int256[](1));
        for (uint256 group = 0; group < sums.length; ++group) {
            sum[0] += sums[group];
            size[0] += sizes[group];
        }
        return means(sum, size);
    }

    function _uint16At(bytes calldata data, uint256 at) private pure returns (uint256) {
        return uint256(ChunkTreeLib.wordAt(data, at)) >> 240;
    }
}
