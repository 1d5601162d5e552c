// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MergeClaim, MergeRule} from "../src/Types.sol";
import {IFraudProofs, Opening} from "../src/interfaces/IFraudProofs.sol";
import {ChunkKind, Demanded, IChunkDemands} from "../src/interfaces/IChunkDemands.sol";
import {SumNode, SumTreeLib} from "../src/libraries/SumTreeLib.sol";
import {ProofTest} from "./support/ProofTest.sol";

/// @notice What proofs cost at most in a model of ten million parameters, calldata included at EIP-7623's floor. Updates
/// use the whole grid: no byte is cheap.
/// forge-config: default.isolate = true
contract ProofGasTest is ProofTest {
    uint256 private constant COORDINATE = 1_200_000;
    uint256 private constant BLOCK = 30_000_000;
    uint256 private constant TRANSACTION = 1 << 24; // by EIP-7825
    uint256 private constant SMALL = 300_000;

    /// @dev Of `centered_clip`, with one update a bucket.
    uint256 private _iterations = 1;

    bytes private _distances;

    /// @dev Provider 0's committed sum is wrong by this.
    uint64 private _excess;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function setUp() public override {
        super.setUp();
        (rules.chunks, chunk, spread) = (78_125, 61_234, 32_767);
    }

    function _sum(uint256 k, uint16 round) internal view override returns (uint64) {
        return super._sum(k, round) + (k == 0 ? _excess : 0);
    }

    function test_proveCoordinate__ofAMeanOf32__costsAtMost1200k() public {
        _measure(32, COORDINATE);
    }

    function test_proveCoordinate__ofAMedianOf32__costsAtMost1200k() public {
        rules.mergeRule = MergeRule.Median;
        _measure(32, COORDINATE);
    }

    function test_proveCoordinate__ofATrimmedMeanOf32__costsAtMost1200k() public {
        _setTrimmedMean();
        _measure(32, COORDINATE);
    }

    function test_proveCoordinate__ofAMedianOf128__fitsABlock() public {
        rules.mergeRule = MergeRule.Median;
        _measure(128, BLOCK);
    }

    function test_proveCoordinate__ofATrimmedMeanOf128__fitsABlock() public {
        _setTrimmedMean();
        _measure(128, BLOCK);
    }

    function test_proveCoordinate__ofACenteredClipOf128__fitsABlock() public {
        (rules.mergeRule, rules.maxUpdates) = (MergeRule.CenteredClip, 128);
        rules.mergeParameters = bytes32(uint256(65_536) | 1 << 56 | 2 << 64 | 5_000 << 72);
        scales = new bytes(3 * 2 * 128);
        _measure(128, BLOCK);
    }

    function _setTrimmedMean() private {
        rules.mergeRule = MergeRule.TrimmedMean;
        rules.mergeParameters = bytes32(uint256(65_536) | 5 << 48);
    }

    function _measure(uint256 updates, uint256 most) private {
        _revealed(updates);
        afterwards = _anyState("wrong everywhere");
        MergeClaim memory made = _claimOf(0, 0, "");
        made.stateRoot = _stateRoot(afterwards, "after");
        if (scales.length != 0) made.scalesHash = keccak256(scales);
        _post(made);
        bytes memory packed = _packed(1, _accepted(0));
        _send(
            abi.encodeCall(IFraudProofs.proveCoordinate, (_disputed(), chunk, 77, _before(), _after(), packed, scales)),
            most
        );
    }

    function test_proveLeaf__ofAnyUpdate__costsAtMost300k() public {
        _excess = 1;
        _revealed(2);
        _send(abi.encodeCall(IFraudProofs.proveLeaf, (id, 1, chunk, _sum(0, 1), _leaf(0))), SMALL);
    }

    function test_provePayout__of32Updates__costsAtMost300k() public {
        _measurePayout(32, SMALL);
    }

    function test_provePaid__of32Updates__costsAtMost300k() public {
        _revealed(32);
        MergeClaim memory made = _honest(0);
        made.paid += 1;
        _post(made);
        bytes32[] memory roots = _roots(_accepted(0));
        _send(abi.encodeCall(IFraudProofs.provePaid, (_disputed(), roots, _provider(31))), SMALL);
    }

    function test_demand__thenItsAnswer__costAtMost400kAnd300k() public {
        address demands = market.demands();
        vm.prank(rival);
        token.approve(demands, type(uint256).max);
        (rules.mergeRule, rules.maxUpdates) = (MergeRule.CenteredClip, 128);
        rules.mergeParameters = bytes32(uint256(65_536) | 1 << 56 | 1 << 64 | 5_000 << 72);
        _revealed(2);
        afterwards = _anyState("two planes");
        MergeClaim memory made = _claimOf(0, 0, "");
        made.stateRoot = _stateRoot(afterwards, "after");
        _post(made);
        Demanded memory demanded = Demanded(id, 1, ChunkKind.State, 0, chunk);
        _send(demands, abi.encodeCall(IChunkDemands.demand, (demanded, record)), 400_000);
        bytes memory siblings = _stateSiblings("after");
        _send(demands, abi.encodeCall(IChunkDemands.answer, (1, record, afterwards, siblings)), SMALL);
    }

    function test_proveScale__ofAnyOf32Updates__costsAtMost300k() public {
        _clipped(32);
        _send(abi.encodeCall(IFraudProofs.proveScale, (_disputed(), 31, scales, _distances)), SMALL);
    }

    /// @dev In the first iteration only the bucket's updates are opened: one here.
    function test_proveDistance__ofAnyOf32Updates__costsAtMost800k() public {
        _clipped(32);
        _measureDistance(0, new uint256[](1), 800_000);
    }

    function test_proveDistance__inTheLastIterationOf128Updates__fitsATransaction() public {
        _iterations = 4;
        _clipped(128);
        _measureDistance(4 * 128 - 1, _accepted(0), TRANSACTION);
    }

    function _measureDistance(uint256 pair, uint256[] memory members, uint256 most) private {
        Opening memory leaf = Opening(abi.encodePacked(uint64(0)), _sumSiblings(99, 1));
        bytes memory packed = _packed(1, members);
        bytes memory call = abi.encodeCall(
            IFraudProofs.proveDistance, (_disputed(), pair, chunk, _distances, leaf, _before(), packed, scales)
        );
        _send(call, most);
    }

    /// @dev All scales are 0, all distance trees have a leaf of sum 0: both are wrong.
    function _clipped(uint256 updates) private {
        (rules.mergeRule, rules.maxUpdates) = (MergeRule.CenteredClip, 128);
        rules.mergeParameters = bytes32(uint256(65_536) | 1 << 56 | _iterations << 64 | 5_000 << 72);
        _revealed(updates);
        bytes32 root = this.openDistance(chunk, 0, _sumSiblings(99, 1));
        bytes32[] memory roots = new bytes32[](updates * _iterations);
        for (uint256 k = 0; k < roots.length; ++k) {
            roots[k] = root;
        }
        _distances = abi.encodePacked(roots);
        scales = new bytes(3 * updates * _iterations);
        MergeClaim memory made = _claimOf(0, 0, "");
        (made.scalesHash, made.distancesHash) = (keccak256(scales), keccak256(_distances));
        _post(made);
    }

    function openDistance(uint32 index, uint64 sum, bytes calldata siblings) external pure returns (bytes32) {
        return SumNode.unwrap(SumTreeLib.climb(SumTreeLib.distanceLeaf(index, sum), index, siblings));
    }

    function _measurePayout(uint256 updates, uint256 most) private {
        _revealed(updates);
        MergeClaim memory made = _honest(0);
        uint96[] memory payouts = new uint96[](updates);
        payouts[3] = 1;
        _setPayouts(payouts);
        made.payoutRoot = _claimOf(0, 0, "").payoutRoot;
        _post(made);
        bytes32[] memory roots = _roots(_accepted(0));
        _send(abi.encodeCall(IFraudProofs.provePayout, (_disputed(), _payout(3, 1), roots)), most);
    }

    /// @dev Calldata costs 40 gas a byte, 10 a zero one, where execution costs less.
    function _send(bytes memory call, uint256 most) private {
        _send(address(proofs), call, most);
    }

    function _send(address contract_, bytes memory call, uint256 most) private {
        uint256 floor = 21_000;
        for (uint256 k = 0; k < call.length; ++k) {
            floor += call[k] == 0 ? 10 : 40;
        }
        vm.prank(rival);
        (bool success,) = contract_.call(call);
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        assertTrue(success, "proven");
        if (gas < floor) gas = floor;
        emit Measured("proof", gas);
        assertTrue(gas <= most, "gas");
    }
}
