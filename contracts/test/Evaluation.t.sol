// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    EvaluationId,
    EvaluationPhase,
    EvaluationTerms,
    IEvaluationMarket,
    ReportState
} from "../src/interfaces/IEvaluationMarket.sol";
import {EvaluationTest} from "./support/EvaluationTest.sol";

/// @notice The owner's calls, and the money at each end.
contract EvaluationOwnerTest is EvaluationTest {
    function test_post__withGoodTerms__escrowsAllPayments() public {
        EvaluationTerms memory terms = rules;
        vm.expectEmit(address(market));
        emit IEvaluationMarket.EvaluationPosted(EvaluationId.wrap(1), owner, terms, _now());
        _post();
        assertEq(EvaluationId.unwrap(id), 1, "id");
        assertEq(market.evaluationCount(), 1, "count");
        assertEq(market.ownerOf(id), owner, "owner");
        assertEq(keccak256(abi.encode(market.terms(id))), keccak256(abi.encode(terms)), "terms");
        assertEq(_balance(address(market)), _escrow(), "market");
        assertEq(_balance(owner), FORTUNE - _escrow(), "owner");
        _assertPhase(EvaluationPhase.Commit);
        _assertMoney(0, _escrow(), 0);
        assertEq(_clock().endsAt, _now() + rules.commitSeconds, "commit window");
    }

    /// @dev Posting `rules` is refused for `field`; then the usual rules are back.
    function _invalid(string memory field) private {
        _refused(abi.encodeWithSelector(IEvaluationMarket.InvalidTerms.selector, field));
        _post();
        rules = _usualTerms();
    }

    function test_post__withAFieldOutOfRange__isRefusedAndNamesIt() public {
        rules.token = IERC20(stranger);
        _invalid("token");
        rules.payment = 0;
        _invalid("payment");
        rules.stake = 0;
        _invalid("stake");
        rules.minReports = 0;
        _invalid("minReports");
        rules.maxReports = rules.minReports - 1;
        _invalid("maxReports");
        rules.commitSeconds = 0;
        _invalid("commitSeconds");
        rules.revealSeconds = 0;
        _invalid("revealSeconds");
        _post();
    }

    function test_post__withAContentFieldOutOfRange__isRefusedAndNamesIt() public {
        rules.decimals = 10;
        _invalid("decimals");
        rules.high = rules.low;
        _invalid("high");
        rules.manifest = 0;
        _invalid("manifest");
        rules.stateRoot = 0;
        _invalid("stateRoot");
        rules.listCid = "list";
        _invalid("listCid");
        (rules.listCid, rules.listRoot) = (0, "root");
        _invalid("listCid");
        (rules.listCid, rules.listRoot) = ("list", "root");
        _post();
    }

    function test_cancel__beforeAnyCommitment__returnsAll() public {
        _post();
        vm.expectEmit(address(market));
        emit IEvaluationMarket.EvaluationCancelled(id, _escrow());
        _cancel();
        assertEq(_balance(owner), FORTUNE, "owner");
        assertEq(_balance(address(market)), 0, "market");
        _assertPhase(EvaluationPhase.Cancelled);
        _assertMoney(0, 0, 0);
        _refusedIn(EvaluationPhase.Cancelled);
        _commit(0);
        _refusedIn(EvaluationPhase.Cancelled);
        _cancel();
        _refusedIn(EvaluationPhase.Cancelled);
        _refund();
    }

    function test_cancel__afterACommitment__isRefused() public {
        _committed(1);
        _refused(IEvaluationMarket.AlreadyCommitted.selector);
        _cancel();
    }

    function test_cancel__afterTheWindow__isRefusedButARefundWorks() public {
        _post();
        vm.warp(_clock().endsAt);
        _refusedIn(EvaluationPhase.Ended);
        _cancel();
        _refund();
        assertEq(_balance(owner), FORTUNE, "owner");
    }

    function testFuzz_cancel__byAnyoneElse__isRefused(address caller) public {
        vm.assume(caller != owner);
        _post();
        _refused(abi.encodeWithSelector(IEvaluationMarket.NotOwner.selector, owner));
        _as(caller);
        market.cancel(id);
        _cancel();
    }

    function test_calls__whenThereIsNoSuchEvaluation__areRefused() public {
        _post();
        id = EvaluationId.wrap(2);
        _refused(IEvaluationMarket.UnknownEvaluation.selector);
        _cancel();
        _refused(IEvaluationMarket.UnknownEvaluation.selector);
        _commit(0);
        _refused(IEvaluationMarket.UnknownEvaluation.selector);
        _reveal(0);
        _refused(IEvaluationMarket.UnknownEvaluation.selector);
        _refund();
        _refused(abi.encodeWithSelector(IEvaluationMarket.NothingToClaim.selector, ReportState.None));
        _claim(0);
        _assertPhase(EvaluationPhase.None);
    }

    function test_refund__afterTheEnd__returnsEmptyPlacesAndForfeitedStakes() public {
        _revealed(3, 2);
        _refusedIn(EvaluationPhase.Reveal);
        _refund();
        vm.warp(_clock().endsAt);
        uint256 expected = 2 * uint256(rules.payment) + rules.stake;
        vm.expectEmit(address(market));
        emit IEvaluationMarket.EvaluationRefunded(id, owner, expected, rules.stake);
        _refund();
        assertEq(_balance(owner), FORTUNE - _escrow() + expected, "owner");
        _assertMoney(2 * (uint256(rules.payment) + rules.stake), 0, 0);
        _refused(IEvaluationMarket.NothingToRefund.selector);
        _refund();
        _claim(0);
        _claim(1);
        assertEq(_balance(address(market)), 0, "market");
    }

    function test_refund__whenEveryPlaceWasFilledAndOpened__hasNothing() public {
        _revealed(4, 4);
        _assertPhase(EvaluationPhase.Ended);
        _refused(IEvaluationMarket.NothingToRefund.selector);
        _refund();
    }

    function test_refund__whenTheQuorumIsMissed__leavesWhatReportsEarned() public {
        _revealed(1, 1);
        _assertPhase(EvaluationPhase.Ended);
        _refund();
        _claim(0);
        assertEq(_balance(owner), FORTUNE - rules.payment, "owner");
        assertEq(_balance(_reporter(0)), FORTUNE + rules.payment, "reporter");
        assertEq(_balance(address(market)), 0, "market");
    }
}

/// @notice What transactions cost at most, base fee and calldata included: each call is its own transaction here.
/// forge-config: default.isolate = true
contract EvaluationGasTest is EvaluationTest {
    uint256 private constant COMMIT = 90_000;
    uint256 private constant REVEAL = 45_000;
    uint256 private constant CLAIM = 75_000;

    /// @dev Shown with -vvvv.
    event Measured(string what, uint256 gas);

    function _spent(string memory what, uint256 most) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        emit Measured(what, gas);
        assertLe(gas, most, what);
    }

    function test_life__ofFourReports__costsAtMostThis() public {
        _post();
        for (uint256 k = 0; k < 4; ++k) {
            _commit(k);
            _spent("commit", COMMIT);
        }
        for (uint256 k = 0; k < 4; ++k) {
            _reveal(k);
            _spent("reveal", REVEAL);
        }
        for (uint256 k = 0; k < 4; ++k) {
            vm.prank(_reporter(k));
            token.transfer(owner, FORTUNE - rules.stake); // a claim is dearest for an account that has no tokens
            _claim(k);
            _spent("claim", CLAIM);
        }
    }
}
