// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Merge, MergeClaim, MergeRecord, MergeRule} from "../../src/Types.sol";
import {Disputed, IFraudProofs, Opening, PayoutOpening} from "../../src/interfaces/IFraudProofs.sol";
import {ChunkTreeLib} from "../../src/libraries/ChunkTreeLib.sol";
import {MergeLib} from "../../src/libraries/MergeLib.sol";
import {MergeRuleLib, Parameters} from "../../src/libraries/MergeRuleLib.sol";
import {OpeningLib} from "../../src/libraries/OpeningLib.sol";
import {SumNode, SumTreeLib} from "../../src/libraries/SumTreeLib.sol";
import {MarketTest} from "./MarketTest.sol";
import {Trees} from "./Trees.sol";

/// @notice Rounds of which one chunk is known: its bytes, and siblings from anywhere, make each tree's root.
abstract contract ProofTest is MarketTest {
    uint256 internal constant COORDINATES = 128;
    address internal constant PROVER = address(0xFACE);

    IFraudProofs internal proofs;

    /// @dev The chunk that is known, and how large the updates' integers are.
    uint32 internal chunk = 2;
    uint256 internal spread = 2_000;

    /// @dev Updates of the round.
    uint256 internal count;

    bytes internal beforehand;
    bytes internal afterwards;
    MergeRecord internal previous;
    MergeRecord internal record;
    bytes internal reasons;
    bytes internal scales;

    function setUp() public virtual override {
        super.setUp();
        proofs = IFraudProofs(market.proofs());
        rules.squaredNormBound = type(uint64).max;
        rules.maxUpdates = 256;
    }

    /// @dev The next call comes from the prover, and is refused if the test said so.
    function _prove() internal {
        _as(PROVER);
    }

    /// @dev One of the rules by coordinate, any parameters, and updates that are large or close together.
    function _setRule(uint8 rule, uint256 dice) internal {
        rules.mergeRule = MergeRule(rule % 3);
        uint256 beta = dice % 3 == 0 ? dice % 65_536 : 0;
        uint256 trim = rules.mergeRule == MergeRule.TrimmedMean ? 1 : 0;
        rules.mergeParameters = bytes32((dice >> 7) % 200_000 + 1 | beta << 32 | trim << 48);
        spread = dice % 2 == 0 ? 32_767 : 3;
    }

    // --- what is known of updates ---

    function _content(uint256 k, uint16 round) internal view virtual returns (bytes memory content) {
        content = new bytes(2 * COORDINATES);
        for (uint256 at = 0; at < COORDINATES; ++at) {
            uint256 dice = uint256(keccak256(abi.encode(k, round, at)));
            uint16 raw = uint16(int16(int256(dice % (2 * spread + 1)) - int256(spread)));
            (content[2 * at], content[2 * at + 1]) = (bytes1(uint8(raw)), bytes1(uint8(raw >> 8)));
        }
    }

    function _sum(uint256 k, uint16 round) internal view virtual returns (uint64) {
        return SumTreeLib.squaredNorm(_content(k, round));
    }

    function _sumSiblings(uint256 k, uint16 round) internal view returns (bytes memory siblings) {
        for (uint256 level = 0; level < _depth(); ++level) {
            bytes32 hash = keccak256(abi.encode("sibling", k, round, level));
            siblings = abi.encodePacked(siblings, SumTreeLib.node(hash, uint64(uint256(hash) % 2 ** 50)));
        }
    }

    function _updateRoot(uint256 k, uint16 round) internal view virtual override returns (bytes32) {
        return this.openUpdate(chunk, _content(k, round), _sum(k, round), _sumSiblings(k, round));
    }

    function _packed(uint16 round, uint256[] memory order) internal view returns (bytes memory packed) {
        uint256 stride = 2 * COORDINATES + 8 + 32 * _depth();
        packed = new bytes(stride * order.length);
        for (uint256 k = 0; k < order.length; ++k) {
            uint256 who = order[k];
            bytes memory one = abi.encodePacked(_content(who, round), _sum(who, round), _sumSiblings(who, round));
            for (uint256 at = 0; at < stride; ++at) {
                packed[k * stride + at] = one[at];
            }
        }
    }

    function _depth() internal view returns (uint256) {
        return Trees.depth(rules.chunks);
    }

    // --- states ---

    function _stateSiblings(string memory label) internal view returns (bytes memory siblings) {
        for (uint256 level = 0; level < _depth(); ++level) {
            siblings = abi.encodePacked(siblings, keccak256(abi.encode(label, level)));
        }
    }

    function _stateRoot(bytes memory content, string memory label) internal view returns (bytes32) {
        return this.openState(chunk, content, _stateSiblings(label));
    }

    function _planes() internal view returns (uint256) {
        return MergeRuleLib.planes(rules.mergeRule, _parameters());
    }

    function _parameters() internal view returns (Parameters memory) {
        return MergeRuleLib.unpack(rules.mergeParameters);
    }

    /// @dev A state chunk with anything in it.
    function _anyState(bytes32 seed) internal view returns (bytes memory content) {
        content = new bytes(4 * COORDINATES * _planes());
        for (uint256 at = 0; at < content.length / 4; ++at) {
            _write(content, at, int256(uint256(keccak256(abi.encode(seed, at))) % 2_000_001) - 1_000_000);
        }
    }

    function _write(bytes memory content, uint256 at, int256 value) internal pure {
        uint32 raw = uint32(int32(value));
        for (uint256 k = 0; k < 4; ++k) {
            content[4 * at + k] = bytes1(uint8(raw >> 8 * k));
        }
    }

    function _read(bytes memory content, uint256 at) internal pure returns (int256) {
        uint32 raw;
        for (uint256 k = 0; k < 4; ++k) {
            raw |= uint32(uint8(content[4 * at + k])) << uint32(8 * k);
        }
        return int32(raw);
    }

    /// @dev What the rule makes of the accepted updates at every coordinate of the chunk.
    function _mergedChunk(uint16 round, uint256[] memory order) internal view returns (bytes memory merged) {
        merged = new bytes(beforehand.length);
        bytes[] memory contents = new bytes[](order.length);
        for (uint256 k = 0; k < order.length; ++k) {
            contents[k] = _content(order[k], round);
        }
        for (uint256 at = 0; at < COORDINATES; ++at) {
            int256[] memory values = new int256[](order.length);
            for (uint256 k = 0; k < order.length; ++k) {
                values[k] = int16(uint16(uint8(contents[k][2 * at])) | uint16(uint8(contents[k][2 * at + 1])) << 8);
            }
            int256 old = _planes() == 2 ? _read(beforehand, COORDINATES + at) : int256(0);
            (int256 a, int256 m) =
                MergeRuleLib.merge(rules.mergeRule, _parameters(), _read(beforehand, at), old, values, scales);
            _write(merged, at, a);
            if (_planes() == 2) _write(merged, COORDINATES + at, m);
        }
    }

    // --- rounds ---

    /// @dev A bounty with `updates` revealed updates of round 1, about to be merged.
    function _revealed(uint256 updates) internal {
        count = updates;
        beforehand = _anyState("before");
        rules.stateRoot = _stateRoot(beforehand, "before");
        (rules.minUpdates, rules.pot) = (uint16(updates), 10_000e18 + 7);
        _open(updates);
        _updates(updates);
    }

    /// @dev The accepted indices, which are the providers' numbers too: they reveal in their order.
    function _accepted(uint256 rejected) internal view returns (uint256[] memory order) {
        order = new uint256[](MergeLib.acceptedCount(rejected, uint16(count)));
        uint256 at = 0;
        for (uint256 k = 0; k < count; ++k) {
            if (rejected >> k & 1 == 0) order[at++] = k;
        }
    }

    /// @dev An honest merge of the round, for tests to spoil.
    function _honest(uint256 rejected) internal returns (MergeClaim memory made) {
        uint256[] memory order = _accepted(rejected);
        afterwards = _mergedChunk(_round(), order);
        uint96[] memory payouts = new uint96[](count);
        for (uint256 k = 0; k < order.length; ++k) {
            payouts[order[k]] = uint96(_share(1) / count); // all of them are the quorum
        }
        _setPayouts(payouts);
        made = _claimOf(uint96(_share(1) / count * order.length), rejected, "");
        made.reasons = new bytes(4 * (count - order.length));
        made.stateRoot = _stateRoot(afterwards, "after");
    }

    /// @dev Make one number of the merged state wrong.
    function _spoil(MergeClaim memory made, uint256 at, int256 offBy) internal {
        bytes memory spoilt = afterwards;
        _write(spoilt, at, _read(spoilt, at) + offBy);
        afterwards = spoilt;
        made.stateRoot = _stateRoot(spoilt, "after");
    }

    /// @dev Merge, and keep what proofs need of it.
    function _post(MergeClaim memory made) internal {
        reasons = made.reasons;
        record = MergeRecord(
            _now(),
            made.stateRoot,
            made.stateCid,
            made.reportCid,
            made.payoutLeaves,
            made.metric,
            made.rejected,
            keccak256(made.reasons),
            made.scalesHash,
            made.distancesHash,
            made.clipCid
        );
        _merge(aggregator, made);
    }

    // --- proofs ---

    function _disputed() internal view returns (Disputed memory) {
        return Disputed(id, 1, record, previous);
    }

    function _before() internal view returns (Opening memory) {
        return Opening(beforehand, _stateSiblings("before"));
    }

    function _after() internal view returns (Opening memory) {
        return Opening(afterwards, _stateSiblings("after"));
    }

    function _leaf(uint256 k) internal view returns (Opening memory) {
        return Opening(_content(k, 1), _sumSiblings(k, 1));
    }

    function _roots(uint256[] memory order) internal view returns (bytes32[] memory roots) {
        roots = new bytes32[](order.length);
        for (uint256 k = 0; k < order.length; ++k) {
            roots[k] = _updateRoot(order[k], 1);
        }
    }

    function _payout(uint16 seat, uint96 cumulative) internal view returns (PayoutOpening memory) {
        bytes memory siblings = abi.encodePacked(Trees.proof(leaves, seat));
        return PayoutOpening(seat, _provider(seat), cumulative, siblings, 0, "");
    }

    /// @dev The bond went, half to the prover, and the round can be merged again.
    function _assertVoided(address prover, uint256 balanceBefore) internal view {
        assertEq(_balance(prover), balanceBefore + rules.bond / 2, "half of the bond");
        (uint96 bond,) = market.bondOf(id, aggregator);
        assertEq(bond, 0, "no bond left");
        Merge memory merged = market.mergeOf(id, 1);
        assertEq(merged.vestsAt, 0, "void");
        assertEq(_round(), 1, "the round again");
    }

    // --- doors for calldata ---

    function openUpdate(uint256 index, bytes calldata content, uint64 sum, bytes calldata siblings)
        external
        pure
        returns (bytes32)
    {
        return OpeningLib.updateRoot(index, content, sum, siblings);
    }

    function openState(uint256 index, bytes calldata content, bytes calldata siblings) external pure returns (bytes32) {
        return ChunkTreeLib.climb(ChunkTreeLib.leaf(ChunkTreeLib.STATE, uint32(index), content), index, siblings);
    }
}
