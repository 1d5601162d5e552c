// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeRule} from "../src/Types.sol";
import {IMaskProofs} from "../src/interfaces/IMaskProofs.sol";
import {Opening} from "../src/interfaces/ICases.sol";
import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {MaskTest} from "./support/MaskTest.sol";

/// @notice What proofs about masks cost at most in a model of ten million parameters, calldata included at EIP-7623's
/// floor. Of each update one leaf is known.
/// forge-config: default.isolate = true
contract MaskGasTest is MaskTest {
    uint256 private constant BLOCK = 30_000_000;
    uint256 private constant OF_32 = 4_000_000;

    /// @dev The leaf that is known.
    bool private _showsKeys;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function setUp() public override {
        super.setUp();
        (rules.chunks, chunk) = (78_125, 61_234);
        rules.mergeRule = MergeRule.Median;
    }

    // --- trees of which one leaf is known ---

    function _siblings(uint256 k, uint256) internal pure override returns (bytes memory siblings) {
        for (uint256 level = 0; level < 17; ++level) {
            siblings = abi.encodePacked(siblings, SumTreeLib.node(keccak256(abi.encode("sibling", k, level)), 0));
        }
    }

    function _top(uint256 k) internal view override returns (bytes32) {
        bytes memory siblings = _siblings(k, 0);
        if (_showsKeys) return this.open(KEYS, rules.chunks, _keyLeaf(k), siblings);
        return this.open(MASKED, chunk, _content(k, 1), siblings);
    }

    function open(bytes1 tag, uint32 index, bytes calldata content, bytes calldata siblings)
        external
        pure
        returns (bytes32)
    {
        SumNode leaf = SumTreeLib.node(ChunkTreeLib.leaf(tag, index, content), 0);
        return SumNode.unwrap(SumTreeLib.climb(leaf, index, siblings));
    }

    // --- coordinates ---

    function test_proveMaskedCoordinate__of32UpdatesIn4GroupsWith8Dropped__costsAtMost4M() public {
        (groups, dropped) = (4, 8);
        _measureCoordinate(32, OF_32);
    }

    function test_proveMaskedCoordinate__of128UpdatesIn16GroupsWith32Dropped__fitsABlock() public {
        (groups, dropped) = (16, 32);
        _measureCoordinate(128, BLOCK);
    }

    function _measureCoordinate(uint256 updates, uint256 most) private {
        _maskedRound(updates);
        afterwards = _anyState("wrong everywhere");
        table = _tableOf(_accepted(0));
        _post(_maskedClaim(0));
        Opening memory beforehand_ = _before();
        Opening memory afterwards_ = _after();
        bytes memory packed = _packedMasked(_accepted(0));
        _send(
            abi.encodeCall(
                IMaskProofs.proveMaskedCoordinate, (_disputed(), chunk, 77, beforehand_, afterwards_, packed, table)
            ),
            most
        );
    }

    // --- masks ---

    function test_proveMasks__of32Updates__costsAtMost1M() public {
        (groups, dropped) = (4, 8);
        _measureMasks(32, 1_000_000);
    }

    function test_proveMasks__of128Updates__costsAtMost4M() public {
        (groups, dropped) = (16, 32);
        _measureMasks(128, 4_000_000);
    }

    /// @dev The last update's own seed stands as another's, and is not taken away.
    function _measureMasks(uint256 updates, uint256 most) private {
        _showsKeys = true;
        _maskedRound(updates);
        afterwards = _anyState("anything");
        table = _tableOf(_accepted(0));
        bytes memory spoilt = table;
        spoilt[spoilt.length - 34] = 0x0d;
        table = spoilt;
        _post(_maskedClaim(0));
        bytes32[] memory roots = _roots(_accepted(0));
        Opening memory keys = _keys(updates - 1);
        _send(abi.encodeCall(IMaskProofs.proveMasks, (_disputed(), updates - 1, roots, keys, table)), most);
    }

    function test_proveSeed__of32Updates__costsAtMost500k() public {
        (groups, dropped, _showsKeys) = (4, 8, true);
        _maskedRound(32);
        afterwards = _anyState("anything");
        table = _tableOf(_accepted(0));
        bytes memory spoilt = table;
        spoilt[spoilt.length - 1] ^= 0x01;
        table = spoilt;
        _post(_maskedClaim(0));
        Opening memory keys = _keys(31);
        _send(abi.encodeCall(IMaskProofs.proveSeed, (_disputed(), 31, 2, _updateRoot(31, 1), keys, table)), 500_000);
    }

    /// @dev Calldata costs 40 gas a byte, 10 a zero one, where execution costs less.
    function _send(bytes memory call, uint256 most) private {
        uint256 floor = 21_000;
        for (uint256 k = 0; k < call.length; ++k) {
            floor += call[k] == 0 ? 10 : 40;
        }
        vm.prank(rival);
        (bool success,) = address(masks).call(call);
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        assertTrue(success, "proven");
        if (gas < floor) gas = floor;
        emit Measured("proof", gas);
        assertLe(gas, most, "gas");
    }
}
