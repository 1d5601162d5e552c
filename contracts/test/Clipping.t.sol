// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {MergeClaim, MergeRule} from "../src/Types.sol";
import {IFraudProofs, Opening} from "../src/interfaces/IFraudProofs.sol";
import {MergeRuleLib} from "../src/libraries/MergeRuleLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice The proofs of `centered_clip` with buckets, in a model of one chunk: all of every tree is known.
contract ClippingTest is ProofTest {
    address private constant PROVER = address(0xFACE);
    uint256 private constant TAU = 9_000;

    uint256[] private _order;
    bytes private _distances;

    function setUp() public override {
        super.setUp();
        (rules.chunks, chunk) = (1, 0);
        rules.mergeRule = MergeRule.CenteredClip;
        rules.mergeParameters = bytes32(uint256(65_536) | 2 << 56 | 1 << 64 | TAU << 72);
    }

    function _draw() private {
        vm.prank(PROVER, PROVER);
        proofs.draw(id, 1);
    }

    /// @dev Five updates in three buckets, and what clipping makes of them.
    function _clip() private {
        uint256[] memory order = _accepted(0);
        MergeRuleLib.bucketOrder(order, proofs.seedOf(id, 1));
        _order = order;
        for (uint256 bucket = 0; bucket < 3; ++bucket) {
            uint64 distance = _distanceOf(bucket);
            uint256 scale = distance <= TAU * TAU ? 65_536 : Math.sqrt((TAU * TAU << 32) / distance);
            _add(distance, uint24(scale));
        }
    }

    function _add(uint64 distance, uint24 scale) private {
        scales = abi.encodePacked(scales, scale);
        _distances = abi.encodePacked(_distances, SumNode.unwrap(SumTreeLib.distanceLeaf(0, distance)));
    }

    function _distanceOf(uint256 bucket) private view returns (uint64 sum) {
        bytes[] memory contents = new bytes[](5);
        for (uint256 k = 0; k < 5; ++k) {
            contents[k] = _content(_order[k], 1);
        }
        bytes memory state = beforehand;
        for (uint256 at = 0; at < COORDINATES; ++at) {
            int256[] memory values = new int256[](5);
            for (uint256 k = 0; k < 5; ++k) {
                values[k] = int16(uint16(uint8(contents[k][2 * at])) | uint16(uint8(contents[k][2 * at + 1])) << 8);
            }
            int256 old = _read(state, COORDINATES + at);
            sum += uint64(MergeRuleLib.distanceTerm(_parameters(), old, values, "", bucket, 0));
        }
    }

    function _mergeClipped() private {
        MergeClaim memory made = _honest(0);
        afterwards = _mergedChunk(1, _order);
        made.stateRoot = _stateRoot(afterwards, "after");
        (made.scalesHash, made.distancesHash) = (keccak256(scales), keccak256(_distances));
        _post(made);
    }

    function _provesDistance(uint256 pair, uint64 claimed) private {
        uint256[] memory bucket = new uint256[](pair == 2 ? 1 : 2);
        for (uint256 k = 0; k < bucket.length; ++k) {
            bucket[k] = _order[2 * pair + k];
        }
        (bytes memory packed, Opening memory distance) = (_packed(1, bucket), Opening(abi.encodePacked(claimed), ""));
        _as(PROVER);
        proofs.proveDistance(_disputed(), pair, 0, _distances, distance, _before(), packed, scales);
    }

    function test_proofs__ofAnHonestClippedMerge__areRefused() public {
        _revealed(5);
        _draw();
        _clip();
        _mergeClipped();
        bytes memory packed = _packed(1, _order);
        for (uint8 at = 0; at < COORDINATES; at += 9) {
            _refused(IFraudProofs.NoFault.selector);
            _as(PROVER);
            proofs.proveCoordinate(_disputed(), 0, at, _before(), _after(), packed, scales);
        }
        for (uint256 pair = 0; pair < 3; ++pair) {
            _refused(IFraudProofs.NoFault.selector);
            _as(PROVER);
            proofs.proveScale(_disputed(), pair, scales, _distances);
            uint64 distance = _distanceOf(pair);
            _refused(IFraudProofs.NoFault.selector);
            _provesDistance(pair, distance);
        }
        _refused(IFraudProofs.NoFault.selector);
        _as(PROVER);
        proofs.proveUndrawn(_disputed());
    }

    function test_proveScale__ofAScaleOffByOne__voidsTheMerge() public {
        _revealed(5);
        _draw();
        _clip();
        scales[5] = bytes1(uint8(scales[5]) ^ 1);
        _mergeClipped();
        uint256 balance = _balance(PROVER);
        _as(PROVER);
        proofs.proveScale(_disputed(), 1, scales, _distances);
        _assertVoided(PROVER, balance);
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

    function test_proveDistance__ofADistanceOffByOne__voidsTheMerge() public {
        _revealed(5);
        _draw();
        _clip();
        uint64 wrong = _distanceOf(2) + 1;
        bytes memory roots = _distances;
        bytes32 root = SumNode.unwrap(SumTreeLib.distanceLeaf(0, wrong));
        for (uint256 k = 0; k < 32; ++k) {
            roots[64 + k] = root[k];
        }
        _distances = roots;
        _mergeClipped();
        uint256 balance = _balance(PROVER);
        _provesDistance(2, wrong);
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
