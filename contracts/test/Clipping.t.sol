// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {MergeClaim, MergeRule} from "../src/Types.sol";
import {ICases} from "../src/interfaces/ICases.sol";
import {IFraudProofs, Opening} from "../src/interfaces/IFraudProofs.sol";
import {MergeRuleLib, Parameters} from "../src/libraries/MergeRuleLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice The proofs of `centered_clip` with buckets, in a model of one chunk: all of every tree is known.
contract ClippingTest is ProofTest {
    uint256 private constant TAU = 9_000;

    uint256[] private _order;
    bytes private _distances;

    function setUp() public override {
        super.setUp();
        (rules.chunks, chunk, rules.maxUpdates) = (1, 0, 128);
        rules.mergeRule = MergeRule.CenteredClip;
        rules.mergeParameters = bytes32(uint256(65_536) | 2 << 56 | 1 << 64 | TAU << 72);
    }

    function _draw() private {
        vm.prank(PROVER, PROVER);
        proofs.draw(id, 1);
    }

    /// @dev What clipping makes of the round's updates: all distances and scales, iteration by iteration.
    function _clip() private {
        uint256[] memory order = _accepted(0);
        Parameters memory parameters = _parameters();
        if (parameters.bucket > 1) MergeRuleLib.bucketOrder(order, proofs.seedOf(id, 1));
        _order = order;
        for (uint256 pair = 0; pair < _buckets() * parameters.iterations; ++pair) {
            uint64 distance = _distanceOf(pair);
            uint256 squared = uint256(parameters.tau) ** 2;
            uint256 scale = distance <= squared ? 65_536 : Math.sqrt((squared << 32) / distance);
            _add(distance, uint24(scale));
        }
    }

    function _buckets() private view returns (uint256) {
        uint256 bucket = _parameters().bucket;
        return (count + bucket - 1) / bucket;
    }

    function _add(uint64 distance, uint24 scale) private {
        scales = abi.encodePacked(scales, scale);
        _distances = abi.encodePacked(_distances, SumNode.unwrap(SumTreeLib.distanceLeaf(0, distance)));
    }

    /// @dev From the scales of the iterations before.
    function _distanceOf(uint256 pair) private view returns (uint64 sum) {
        Parameters memory parameters = _parameters();
        bytes memory state = beforehand;
        bytes memory known = scales;
        int256[][] memory values = _columns();
        (uint256 bucket, uint256 iteration) = (pair % _buckets(), pair / _buckets());
        for (uint256 at = 0; at < COORDINATES; ++at) {
            int256 old = _read(state, COORDINATES + at);
            sum += uint64(MergeRuleLib.distanceTerm(parameters, old, values[at], known, bucket, iteration));
        }
    }

    /// @dev The updates' integers, coordinate by coordinate, in the order of the buckets.
    function _columns() private view returns (int256[][] memory values) {
        values = new int256[][](COORDINATES);
        for (uint256 at = 0; at < COORDINATES; ++at) {
            values[at] = new int256[](count);
        }
        for (uint256 k = 0; k < count; ++k) {
            bytes memory content = _content(_order[k], 1);
            for (uint256 at = 0; at < COORDINATES; ++at) {
                values[at][k] = int16(uint16(uint8(content[2 * at])) | uint16(uint8(content[2 * at + 1])) << 8);
            }
        }
    }

    function _mergeClipped() private {
        _mergeClipped(0, 0);
    }

    /// @dev Number `at` of the merged state is wrong by `offBy`.
    function _mergeClipped(uint256 at, int256 offBy) private {
        MergeClaim memory made = _honest(0);
        afterwards = _mergedChunk(1, _order);
        _spoil(made, at, offBy);
        (made.scalesHash, made.distancesHash) = (keccak256(scales), keccak256(_distances));
        _post(made);
    }

    function _provesDistance(uint256 pair, uint64 claimed) private {
        bytes memory packed = _packed(1, pair < _buckets() ? _members(pair) : _order);
        Opening memory distance = Opening(abi.encodePacked(claimed), "");
        _as(PROVER);
        proofs.proveDistance(_disputed(), pair, 0, _distances, distance, _before(), packed, scales);
    }

    /// @dev Of one bucket.
    function _members(uint256 bucket) private view returns (uint256[] memory members) {
        (uint256 size, uint256 start) = (_parameters().bucket, bucket * _parameters().bucket);
        members = new uint256[](count - start < size ? count - start : size);
        for (uint256 k = 0; k < members.length; ++k) {
            members[k] = _order[start + k];
        }
    }

    /// @dev Rounds of 2 to 6 updates, 1 to 3 in a bucket, 1 to 3 iterations, from nothing clipped to all.
    function _anyRound(uint256 dice) private {
        (uint256 bucket, uint256 iterations, uint256 tau) = (1 + dice % 3, 1 + dice / 3 % 3, 1 << dice / 9 % 18);
        rules.mergeParameters = bytes32(uint256(65_536) | bucket << 56 | iterations << 64 | tau << 72);
        spread = 1 << dice / 162 % 15;
        _revealed(2 + dice / 2430 % 5);
        if (bucket > 1) _draw();
        _clip();
    }

    /// forge-config: default.fuzz.runs = 8
    /// forge-config: ci.fuzz.runs = 48
    function testFuzz_proofs__ofAnyHonestClippedMerge__areRefused(uint256 dice) public {
        _anyRound(dice);
        _mergeClipped();
        bytes memory packed = _packed(1, _order);
        for (uint8 at = uint8(dice % 9); at < COORDINATES; at += 9) {
            _refused(ICases.NoFault.selector);
            _as(PROVER);
            proofs.proveCoordinate(_disputed(), 0, at, _before(), _after(), packed, scales);
        }
        for (uint256 pair = 0; pair < scales.length / 3; ++pair) {
            _refused(ICases.NoFault.selector);
            _as(PROVER);
            proofs.proveScale(_disputed(), pair, scales, _distances);
            uint64 distance = _distanceOf(pair);
            _refused(ICases.NoFault.selector);
            _provesDistance(pair, distance);
        }
        _refused(ICases.NoFault.selector);
        _as(PROVER);
        proofs.proveUndrawn(_disputed());
    }

    /// forge-config: default.fuzz.runs = 8
    /// forge-config: ci.fuzz.runs = 48
    function testFuzz_proveScale__ofAnyScaleOffByOne__voidsTheMerge(uint256 dice) public {
        _anyRound(dice);
        uint256 pair = dice % (scales.length / 3);
        _spoilScale(pair);
        _mergeClipped();
        uint256 balance = _balance(PROVER);
        _as(PROVER);
        proofs.proveScale(_disputed(), pair, scales, _distances);
        _assertVoided(PROVER, balance);
    }

    /// forge-config: default.fuzz.runs = 8
    /// forge-config: ci.fuzz.runs = 48
    function testFuzz_proveDistance__ofAnyDistanceOffByOne__voidsTheMerge(uint256 dice) public {
        _anyRound(dice);
        uint256 pair = dice % (scales.length / 3);
        uint64 wrong = _distanceOf(pair) + 1;
        _setDistance(pair, wrong);
        _mergeClipped();
        uint256 balance = _balance(PROVER);
        _provesDistance(pair, wrong);
        _assertVoided(PROVER, balance);
    }

    /// forge-config: default.fuzz.runs = 8
    /// forge-config: ci.fuzz.runs = 48
    function testFuzz_proveCoordinate__ofAClippedMergeOffByOne__voidsIt(uint256 dice) public {
        _anyRound(dice);
        uint256 at = dice % (2 * COORDINATES);
        _mergeClipped(at, dice / 2 % 2 == 0 ? int256(1) : int256(-1));
        bytes memory packed = _packed(1, _order);
        uint256 balance = _balance(PROVER);
        _as(PROVER);
        proofs.proveCoordinate(_disputed(), 0, uint8(at % COORDINATES), _before(), _after(), packed, scales);
        _assertVoided(PROVER, balance);
    }

    function _spoilScale(uint256 pair) private {
        bytes memory all = scales;
        all[3 * pair + 2] ^= 0x01;
        scales = all;
    }

    function _setDistance(uint256 pair, uint64 distance) private {
        bytes memory roots = _distances;
        bytes32 root = SumNode.unwrap(SumTreeLib.distanceLeaf(0, distance));
        for (uint256 k = 0; k < 32; ++k) {
            roots[32 * pair + k] = root[k];
        }
        _distances = roots;
    }

    function test_proveScale__ofTooFewScales__voidsTheMerge() public {
        _revealed(5);
        _draw();
        _clip();
        bytes memory whole = scales;
        MergeClaim memory made = _honest(0);
        scales = hex"010000";
        (made.scalesHash, made.distancesHash) = (keccak256(scales), keccak256(_distances));
        _post(made);
        assertEq(whole.length, 9, "three scales");
        uint256 balance = _balance(PROVER);
        _as(PROVER);
        proofs.proveScale(_disputed(), 0, scales, _distances);
        _assertVoided(PROVER, balance);
    }

    function test_proveUndrawn__whenNobodyDrew__voidsTheMerge() public {
        _revealed(5);
        _clip();
        _mergeClipped();
        uint256 balance = _balance(PROVER);
        _as(PROVER);
        proofs.proveUndrawn(_disputed());
        _assertVoided(PROVER, balance);
    }

    function test_draw__twiceOrByAContract__isRefused() public {
        _revealed(5);
        vm.expectRevert(abi.encodePacked(IFraudProofs.NotPlainAccount.selector));
        proofs.draw(id, 1);
        _draw();
        vm.prank(PROVER, PROVER);
        vm.expectRevert(abi.encodePacked(IFraudProofs.AlreadyDrawn.selector));
        proofs.draw(id, 1);
    }
}
