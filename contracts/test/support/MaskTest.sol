// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRule, PrivacyMode} from "../../src/Types.sol";
import {IMaskProofs} from "../../src/interfaces/IMaskProofs.sol";
import {Opening} from "../../src/interfaces/IFraudProofs.sol";
import {ChaCha20Lib} from "../../src/libraries/ChaCha20Lib.sol";
import {ChunkTreeLib} from "../../src/libraries/ChunkTreeLib.sol";
import {MergeRuleLib} from "../../src/libraries/MergeRuleLib.sol";
import {SumNode, SumTreeLib} from "../../src/libraries/SumTreeLib.sol";
import {ProofTest} from "./ProofTest.sol";
import {Trees} from "./Trees.sol";

/// @notice Rounds of masked updates, masked as docs/PROTOCOL.md, section 16 says. Members are in group (index mod
/// `groups`); the last `dropped` of them have no update. One chunk and the key leaf of each update are known.
abstract contract MaskTest is ProofTest {
    uint256 internal constant BLOCK_WORDS = 16;
    bytes1 internal constant MASKED = 0x06;
    bytes1 internal constant KEYS = 0x07;

    IMaskProofs internal masks;
    uint256 internal groups = 2;
    uint256 internal dropped;
    bytes internal table;

    /// @dev What the updates of the round hold, and their roots: once made, they don't change.
    bytes[] private _contents;
    bytes32[] private _topNodes;

    function setUp() public virtual override {
        super.setUp();
        masks = IMaskProofs(proofs.masks());
        rules.privacy = PrivacyMode.Masked;
    }

    // --- seeds ---

    function _selfSeed(uint256 k) internal pure returns (bytes32) {
        return keccak256(abi.encode("self", k));
    }

    function _pairSeed(uint256 i, uint256 j) internal pure returns (bytes32) {
        return i < j ? keccak256(abi.encode("pair", i, j)) : keccak256(abi.encode("pair", j, i));
    }

    function _members() internal view returns (uint256) {
        return count + dropped;
    }

    function _isPeer(uint256 i, uint256 j) internal view returns (bool) {
        return i != j && i % groups == j % groups;
    }

    // --- updates ---

    /// @dev What update k holds before it is masked.
    function _plain(uint256 k, uint256 coordinate) internal view virtual returns (int256) {
        uint256 dice = uint256(keccak256(abi.encode(k, coordinate)));
        return int256(dice % (2 * spread + 1)) - int256(spread);
    }

    function _content(uint256 k, uint16) internal view virtual override returns (bytes memory) {
        return _contents[k];
    }

    function _masked(uint256 k) private view returns (bytes memory content) {
        uint32[] memory values = new uint32[](COORDINATES);
        for (uint256 at = 0; at < COORDINATES; ++at) {
            values[at] = uint32(int32(_plain(k, at)));
        }
        _mask(values, _selfSeed(k), true);
        for (uint256 j = 0; j < _members(); ++j) {
            if (_isPeer(k, j)) _mask(values, _pairSeed(k, j), k < j);
        }
        content = new bytes(4 * COORDINATES);
        for (uint256 at = 0; at < COORDINATES; ++at) {
            _write(content, at, int32(values[at]));
        }
    }

    function _mask(uint32[] memory values, bytes32 seed, bool isAdded) private view {
        uint256 first = COORDINATES * chunk / BLOCK_WORDS;
        for (uint256 at = 0; at < COORDINATES; at += BLOCK_WORDS) {
            (bytes32 low, bytes32 high) = ChaCha20Lib.keyStream(seed, uint32(first + at / BLOCK_WORDS), 0);
            bytes memory stream = abi.encodePacked(low, high);
            for (uint256 k = 0; k < BLOCK_WORDS; ++k) {
                uint32 mask = uint32(int32(_read(stream, k)));
                unchecked {
                    values[at + k] = isAdded ? values[at + k] + mask : values[at + k] - mask;
                }
            }
        }
    }

    function _keyLeaf(uint256 k) internal view virtual returns (bytes memory leaf) {
        uint8 peers = 0;
        bytes memory entries;
        for (uint256 j = 0; j < _members(); ++j) {
            if (!_isPeer(k, j)) continue;
            ++peers;
            entries = abi.encodePacked(entries, uint16(j), keccak256(abi.encode(_pairSeed(k, j))));
        }
        bytes32 own = keccak256(abi.encode(_selfSeed(k)));
        leaf = _padded(abi.encodePacked(uint16(k), peers, uint8(0), own, entries));
    }

    function _padded(bytes memory leaf) internal pure returns (bytes memory) {
        return abi.encodePacked(leaf, new bytes(512 - leaf.length));
    }

    // --- trees ---

    /// @dev All leaves of an update; two of them are known.
    function _leaves(uint256 k) private view returns (SumNode[] memory all) {
        all = new SumNode[](rules.chunks + 1);
        for (uint256 at = 0; at < rules.chunks; ++at) {
            all[at] = SumTreeLib.node(keccak256(abi.encode("leaf", k, at)), 0);
        }
        all[chunk] = SumTreeLib.node(ChunkTreeLib.leaf(MASKED, chunk, _content(k, 1)), 0);
        all[rules.chunks] = SumTreeLib.node(ChunkTreeLib.leaf(KEYS, rules.chunks, _keyLeaf(k)), 0);
    }

    function _updateRoot(uint256 k, uint16) internal view virtual override returns (bytes32) {
        return _topNodes[k];
    }

    function _top(uint256 k) internal view virtual returns (bytes32) {
        return SumNode.unwrap(Trees.top(_leaves(k)));
    }

    function _siblings(uint256 k, uint256 index) internal view virtual returns (bytes memory) {
        return abi.encodePacked(Trees.proof(_leaves(k), index));
    }

    function _keys(uint256 k) internal view returns (Opening memory) {
        return Opening(_keyLeaf(k), _siblings(k, rules.chunks));
    }

    function _packedMasked(uint256[] memory order) internal view returns (bytes memory packed) {
        uint256 stride = 4 * COORDINATES + 32 * Trees.depth(rules.chunks + 1);
        packed = new bytes(stride * order.length);
        for (uint256 k = 0; k < order.length; ++k) {
            bytes memory one = abi.encodePacked(_content(order[k], 1), _siblings(order[k], chunk));
            for (uint256 at = 0; at < stride; ++at) {
                packed[k * stride + at] = one[at];
            }
        }
    }

    // --- the table ---

    /// @dev A row for each of `order`: its own mask, and those of peers who are not in `order`.
    function _tableOf(uint256[] memory order) internal view returns (bytes memory made) {
        bool[] memory isThere = new bool[](_members());
        for (uint256 k = 0; k < order.length; ++k) {
            isThere[order[k]] = true;
        }
        uint256[] memory numbers = _numbers(order);
        for (uint256 k = 0; k < order.length; ++k) {
            made = abi.encodePacked(made, uint8(numbers[order[k] % groups]), _masksOf(order[k], isThere));
        }
    }

    /// @dev How many masks, and these.
    function _masksOf(uint256 k, bool[] memory isThere) private view returns (bytes memory) {
        (uint8 slot, uint8 taken, bytes memory entries) = (0, 1, "");
        for (uint256 j = 0; j < _members(); ++j) {
            if (!_isPeer(k, j)) continue;
            if (!isThere[j]) {
                entries = abi.encodePacked(entries, slot, uint8(k < j ? 0 : 1), _pairSeed(k, j));
                ++taken;
            }
            ++slot;
        }
        return abi.encodePacked(taken, entries, uint8(255), uint8(0), _selfSeed(k));
    }

    /// @dev Groups in the order in which they come up.
    function _numbers(uint256[] memory order) private view returns (uint256[] memory numbers) {
        numbers = new uint256[](groups);
        uint256 seen = 0;
        uint256 next = 0;
        for (uint256 k = 0; k < order.length; ++k) {
            uint256 group = order[k] % groups;
            if (seen >> group & 1 == 1) continue;
            seen |= 1 << group;
            numbers[group] = next++;
        }
    }

    // --- rounds ---

    /// @dev A round with `updates` of masked members, and as many more members as `dropped` says.
    function _maskedRound(uint256 updates) internal {
        count = updates;
        beforehand = _anyState("before");
        rules.stateRoot = _stateRoot(beforehand, "before");
        rules.minUpdates = uint16(updates);
        for (uint256 k = 0; k < updates; ++k) {
            _contents.push(_masked(k));
            _topNodes.push(_top(k));
        }
        _open(updates + dropped);
        _updates(updates);
    }

    /// @dev What the rule makes of the plain values: no mask is looked at.
    function _mergedPlain(uint256[] memory order) internal view returns (bytes memory merged) {
        merged = new bytes(beforehand.length);
        for (uint256 at = 0; at < COORDINATES; ++at) {
            int256 old = _planes() == 2 ? _read(beforehand, COORDINATES + at) : int256(0);
            (int256 a, int256 m) = MergeRuleLib.mergeMeans(
                rules.mergeRule, _parameters(), _read(beforehand, at), old, _plainMeans(order, at)
            );
            _write(merged, at, a);
            if (_planes() == 2) _write(merged, COORDINATES + at, m);
        }
    }

    function _plainMeans(uint256[] memory order, uint256 at) private view returns (int256[] memory means) {
        if (rules.mergeRule == MergeRule.Mean) {
            means = new int256[](order.length == 0 ? 0 : 1);
            int256 sum = 0;
            for (uint256 k = 0; k < order.length; ++k) {
                sum += _plain(order[k], at);
            }
            if (order.length != 0) means[0] = MergeRuleLib.floorDiv(256 * sum, int256(order.length));
            return means;
        }
        (int256[] memory sums, int256[] memory sizes) = (new int256[](groups), new int256[](groups));
        uint256 there = 0;
        for (uint256 k = 0; k < order.length; ++k) {
            uint256 group = order[k] % groups;
            if (sizes[group] == 0) ++there;
            sums[group] += _plain(order[k], at);
            sizes[group] += 1;
        }
        means = new int256[](there);
        for (uint256 group = groups; group > 0; --group) {
            if (sizes[group - 1] != 0) means[--there] = MergeRuleLib.floorDiv(256 * sums[group - 1], sizes[group - 1]);
        }
    }

    /// @dev A claim with an honest table and state, for tests to spoil.
    function _honestMasked(uint256 rejected) internal returns (MergeClaim memory made) {
        uint256[] memory order = _accepted(rejected);
        table = _tableOf(order);
        afterwards = _mergedPlain(order);
        made = _maskedClaim(rejected);
    }

    /// @dev A claim with `table` and `afterwards` as they are.
    function _maskedClaim(uint256 rejected) internal view returns (MergeClaim memory made) {
        made = _claimOf(0, rejected, "");
        made.reasons = new bytes(4 * (count - _accepted(rejected).length));
        made.stateRoot = _stateRoot(afterwards, "after");
        made.scalesHash = keccak256(table);
    }

    /// @dev Post an honest state with `table` as the test left it.
    function _postTable() internal {
        _post(_maskedClaim(0));
    }

    /// @dev An honest claim of six members in two groups, of whom the last did not reveal.
    function _sixMembers() internal returns (MergeClaim memory) {
        dropped = 1;
        _maskedRound(5);
        return _honestMasked(0);
    }

    function _setByte(uint256 at, uint256 value) internal {
        bytes memory spoilt = table;
        spoilt[at] = bytes1(uint8(value));
        table = spoilt;
    }
}
