// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvaluationPhase, IEvaluationMarket, ReportState} from "../src/interfaces/IEvaluationMarket.sol";
import {ChunkTreeLib} from "../src/libraries/ChunkTreeLib.sol";
import {EvaluationTest} from "./support/EvaluationTest.sol";
import {Trees} from "./support/Trees.sol";

/// @notice Commitments, openings and pay.
contract EvaluationReportsTest is EvaluationTest {
    function test_commit__inTheWindow__locksTheStakeAndHidesTheValue() public {
        _post();
        _fund(_reporter(0));
        bytes31 commitment = bytes31(_commitment(_reporter(0), _value(0)));
        vm.expectEmit(address(market));
        emit IEvaluationMarket.ReportCommitted(id, _reporter(0), commitment);
        _commit(0);
        (ReportState state, bytes31 kept, int64 value) = market.reportOf(id, _reporter(0));
        assertEq(uint256(state), uint256(ReportState.Committed), "state");
        assertEq(bytes32(kept), bytes32(commitment), "commitment");
        assertEq(uint256(int256(value)), 0, "value");
        assertEq(_balance(_reporter(0)), FORTUNE - rules.stake, "reporter");
        _assertMoney(0, _escrow(), rules.stake);
        assertEq(_clock().commits, 1, "commits");
    }

    function test_commit__twice__isRefused() public {
        _committed(1);
        _refused(IEvaluationMarket.AlreadyCommitted.selector);
        _commit(0);
        _commit(1);
    }

    function test_commit__afterTheWindow__isRefused() public {
        _committed(1);
        vm.warp(_clock().endsAt - 1);
        _commit(1);
        vm.warp(_clock().endsAt);
        _refusedIn(EvaluationPhase.Reveal);
        _commit(2);
    }

    function test_commit__inTheLastPlace__opensTheRevealsAtOnce() public {
        _committed(3);
        skip(10);
        _commit(3);
        _assertPhase(EvaluationPhase.Reveal);
        assertEq(_clock().endsAt, _now() + rules.revealSeconds, "reveal window");
        _refusedIn(EvaluationPhase.Reveal);
        _commit(4);
    }

    function test_reveal__ofACommitment__earnsThePaymentAndTheStake() public {
        _committed(2);
        _warpTo(EvaluationPhase.Reveal);
        vm.expectEmit(address(market));
        emit IEvaluationMarket.ReportRevealed(id, _reporter(1), _value(1), _salt(_reporter(1)));
        _reveal(1);
        _assertReport(1, ReportState.Revealed, _value(1));
        _assertMoney(uint256(rules.payment) + rules.stake, _escrow() - rules.payment, rules.stake);
        vm.expectEmit(address(market));
        emit IEvaluationMarket.ReportPaid(id, _reporter(1), uint256(rules.payment) + rules.stake);
        _claim(1);
        _assertReport(1, ReportState.Paid, _value(1));
        assertEq(_balance(_reporter(1)), FORTUNE + rules.payment, "reporter");
        assertEq(_balance(address(market)), _escrow() - rules.payment + rules.stake, "market");
        _refused(abi.encodeWithSelector(IEvaluationMarket.NothingToClaim.selector, ReportState.Paid));
        _claim(1);
    }

    function test_reveal__outsideItsWindow__isRefused() public {
        _committed(2);
        _refusedIn(EvaluationPhase.Commit);
        _reveal(0);
        vm.warp(_clock().endsAt);
        _reveal(0);
        vm.warp(_clock().endsAt - 1);
        uint256 before = vm.snapshotState();
        _reveal(1);
        vm.revertToState(before);
        vm.warp(_clock().endsAt);
        _refusedIn(EvaluationPhase.Ended);
        _reveal(1);
        _refused(abi.encodeWithSelector(IEvaluationMarket.NothingToClaim.selector, ReportState.Committed));
        _claim(1);
    }

    function test_reveal__ofTheLastCommitment__endsTheEvaluation() public {
        _revealed(3, 2);
        _assertPhase(EvaluationPhase.Reveal);
        _reveal(2);
        _assertPhase(EvaluationPhase.Ended);
        assertEq(_clock().endsAt, 0, "no end left");
        assertEq(_clock().reports, 3, "reports");
        _refusedIn(EvaluationPhase.Ended);
        _reveal(2);
    }

    function test_reveal__twice__isRefused() public {
        _revealed(2, 1);
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongOpening.selector, bytes31(0)));
        _reveal(0);
    }

    function test_reveal__withoutACommitment__isRefused() public {
        _revealed(2, 0);
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongOpening.selector, bytes31(0)));
        _reveal(2);
    }

    function testFuzz_reveal__ofAnotherValueOrSalt__isRefused(int64 value, bytes32 salt) public {
        _revealed(2, 0);
        vm.assume(value != _value(0) || salt != _salt(_reporter(0)));
        bytes31 commitment = bytes31(_commitment(_reporter(0), _value(0)));
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongOpening.selector, commitment));
        _as(_reporter(0));
        market.reveal(id, value, salt);
        _reveal(0);
    }

    /// @dev Whoever copies a commitment can't open it: it names its sender.
    function test_reveal__ofACopiedCommitment__isRefused() public {
        _post();
        bytes32 commitment = _commitment(_reporter(0), _value(0));
        _commit(0);
        _fund(stranger);
        _as(stranger);
        market.commit(id, commitment, 0, noSiblings);
        _warpTo(EvaluationPhase.Reveal);
        _reveal(0);
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongOpening.selector, bytes31(commitment)));
        _as(stranger);
        market.reveal(id, _value(0), _salt(_reporter(0)));
    }
}

/// @notice Every value of the declared range is taken and kept, none outside.
contract EvaluationRangeTest is EvaluationTest {
    int64 private _chosen;

    function _value(uint256) internal view override returns (int64) {
        return _chosen;
    }

    function testFuzz_reveal__ofAnyValueInRange__keepsIt(int64 low, int64 high, int64 value) public {
        vm.assume(low < high);
        (rules.low, rules.high) = (low, high);
        uint256 offset = bound(uint256(int256(value)), 0, uint256(int256(high) - low));
        _chosen = int64(int256(low) + int256(offset));
        _revealed(1, 1);
        _assertReport(0, ReportState.Revealed, _chosen);
        _claim(0);
        _assertReport(0, ReportState.Paid, _chosen);
    }

    function test_reveal__ofEitherBound__keepsIt() public {
        (rules.low, rules.high) = (-5, 1_000);
        _chosen = rules.low;
        _revealed(1, 1);
        _assertReport(0, ReportState.Revealed, -5);
        _chosen = rules.high;
        _revealed(1, 1);
        _assertReport(0, ReportState.Revealed, 1_000);
    }

    function testFuzz_reveal__ofAValueOutOfRange__isRefused(int64 value) public {
        (rules.low, rules.high) = (-5, 1_000);
        vm.assume(value < rules.low || value > rules.high);
        _chosen = value;
        _committed(1);
        _warpTo(EvaluationPhase.Reveal);
        _refused(abi.encodeWithSelector(IEvaluationMarket.ValueOutOfRange.selector, rules.low, rules.high));
        _reveal(0);
    }
}

/// @notice An evaluation that only listed accounts may report to.
contract EvaluationListTest is EvaluationTest {
    uint32 private constant LISTED = 5;

    bytes32[] private _leaves;

    function setUp() public override {
        super.setUp();
        for (uint32 k = 0; k < LISTED; ++k) {
            _leaves.push(ChunkTreeLib.leaf(0x05, k, abi.encodePacked(_reporter(k))));
        }
        (rules.listRoot, rules.listCid) = (Trees.root(_leaves), "list");
        _post();
    }

    function _commitAs(address account, uint32 index, bytes32[] memory siblings) private {
        if (_balance(account) == 0) _fund(account);
        bytes32 commitment = _commitment(account, _value(0));
        _as(account);
        market.commit(id, commitment, index, siblings);
    }

    function test_commit__byEachOfTheList__works() public {
        for (uint32 k = 0; k < rules.maxReports; ++k) {
            uint32 index = LISTED - 1 - k;
            _commitAs(_reporter(index), index, Trees.proof(_leaves, index));
        }
        assertEq(_clock().commits, rules.maxReports, "commits");
    }

    function testFuzz_commit__byAnyoneElse__isRefused(address account, uint32 index) public {
        vm.assume(account != address(0) && account != address(market) && account != owner);
        index = uint32(bound(index, 0, LISTED - 1));
        vm.assume(account != _reporter(index));
        _fund(account);
        _refused(abi.encodeWithSelector(IEvaluationMarket.NotListed.selector, rules.listRoot));
        _commitAs(account, index, Trees.proof(_leaves, index));
    }

    function test_commit__withAnotherPlaceOrNoProof__isRefused() public {
        bytes memory refusal = abi.encodeWithSelector(IEvaluationMarket.NotListed.selector, rules.listRoot);
        _fund(_reporter(0));
        _refused(refusal);
        _commitAs(_reporter(0), 1, Trees.proof(_leaves, 0));
        _refused(refusal);
        _commitAs(_reporter(0), 0, Trees.proof(_leaves, 1));
        _refused(refusal);
        _commitAs(_reporter(0), 0, noSiblings);
        _commitAs(_reporter(0), 0, Trees.proof(_leaves, 0));
    }
}
