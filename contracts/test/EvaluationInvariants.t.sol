// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    EvaluationClock,
    EvaluationId,
    EvaluationTerms,
    IEvaluationMarket,
    ReportState
} from "../src/interfaces/IEvaluationMarket.sol";
import {EvaluationHandler} from "./support/EvaluationHandler.sol";
import {EvaluationTest} from "./support/EvaluationTest.sol";
import {InvariantTest} from "./support/InvariantTest.sol";
import {Mintable} from "./support/Mintable.sol";

/// @notice I17 to I22 of contracts/README.md. I20 is checked by the handler at every action.
/// forge-config: ci.invariant.runs = 1000
contract EvaluationInvariantsTest is EvaluationTest, InvariantTest {
    EvaluationHandler private _handler;

    function setUp() public override {
        super.setUp();
        EvaluationTerms memory wide = rules;
        EvaluationTerms memory narrow = rules;
        (wide.maxReports, wide.payment, wide.low, wide.high) = (30, 11, type(int64).min, type(int64).max);
        (narrow.maxReports, narrow.payment, narrow.stake) = (3, 1e27, 1);
        _handler = new EvaluationHandler(market, Mintable(address(token)), [wide, narrow], owner);
    }

    /// @dev All actions but the last one of a run; those that carry an evaluation on more often.
    function _actions() internal view override returns (address, bytes memory) {
        return (
            address(_handler),
            abi.encodePacked(
                [
                    EvaluationHandler.wait.selector,
                    EvaluationHandler.commit.selector,
                    EvaluationHandler.commit.selector,
                    EvaluationHandler.commit.selector,
                    EvaluationHandler.reveal.selector,
                    EvaluationHandler.reveal.selector,
                    EvaluationHandler.reveal.selector,
                    EvaluationHandler.claim.selector,
                    EvaluationHandler.refund.selector,
                    EvaluationHandler.cancel.selector
                ]
            )
        );
    }

    function invariant_I17_to_I21() public view {
        uint256 held = 0;
        for (uint256 evaluation = 1; evaluation <= _handler.EVALUATIONS(); ++evaluation) {
            uint256 its = _held(evaluation);
            held += its;
            assertEq(_handler.cameIn(evaluation), _handler.wentOut(evaluation) + its, "I18");
            _I19_eachReportIsPaidOnceAndOnlyOnce(evaluation);
            _I21_countersCount(evaluation);
        }
        assertEq(token.balanceOf(address(market)), held, "I17");
    }

    function _held(uint256 evaluation) private view returns (uint256) {
        (uint256 owed, uint256 free, uint256 locked) = market.money(EvaluationId.wrap(evaluation));
        return owed + free + locked;
    }

    function _I19_eachReportIsPaidOnceAndOnlyOnce(uint256 evaluation) private view {
        EvaluationTerms memory terms = market.terms(EvaluationId.wrap(evaluation));
        for (uint256 k = 0; k < _handler.REPORTERS(); ++k) {
            address account = _handler.reporterAt(k);
            bool isPaid = _handler.stateOf(evaluation, account) == ReportState.Paid;
            uint256 due = isPaid ? uint256(terms.payment) + terms.stake : 0;
            assertEq(_handler.paid(evaluation, account), due, "I19");
            _checkReport(evaluation, account, terms);
        }
    }

    function _checkReport(uint256 evaluation, address account, EvaluationTerms memory terms) private view {
        (ReportState state,, int64 value) = market.reportOf(EvaluationId.wrap(evaluation), account);
        assertEq(uint256(state), uint256(_handler.stateOf(evaluation, account)), "I19: state");
        if (state < ReportState.Revealed) return;
        assertTrue(value == _handler.valueOf(evaluation, account), "I19: the value stays");
        assertTrue(terms.low <= value && value <= terms.high, "I19: in range");
    }

    function _I21_countersCount(uint256 evaluation) private view {
        uint256[4] memory atLeast;
        for (uint256 k = 0; k < _handler.REPORTERS(); ++k) {
            uint256 state = uint256(_handler.stateOf(evaluation, _handler.reporterAt(k)));
            for (uint256 step = 1; step <= state; ++step) {
                ++atLeast[step];
            }
        }
        EvaluationClock memory clock = market.clock(EvaluationId.wrap(evaluation));
        assertEq(clock.commits, atLeast[uint256(ReportState.Committed)], "I21: commits");
        assertEq(clock.reports, atLeast[uint256(ReportState.Revealed)], "I21: reports");
        assertEq(clock.claims, atLeast[uint256(ReportState.Paid)], "I21: claims");
        assertLe(clock.commits, market.terms(EvaluationId.wrap(evaluation)).maxReports, "I21: places");
    }

    /// @notice I22: nothing is stuck, and a stake is lost only by a commitment that was never opened. At the end of
    /// every run all take what is theirs; the contract is empty, and everyone has what the reports say.
    function afterInvariant() public {
        _handler.drain();
        assertEq(token.balanceOf(address(market)), 0, "I22");
        for (uint256 evaluation = 1; evaluation <= _handler.EVALUATIONS(); ++evaluation) {
            _checkOwner(evaluation);
        }
    }

    function _checkOwner(uint256 evaluation) private view {
        EvaluationTerms memory terms = market.terms(EvaluationId.wrap(evaluation));
        EvaluationClock memory clock = market.clock(EvaluationId.wrap(evaluation));
        assertEq(clock.claims, clock.reports, "I22: all reports are paid");
        uint256 forfeited = uint256(terms.stake) * (clock.commits - clock.reports);
        uint256 unearned = uint256(terms.payment) * (terms.maxReports - clock.reports);
        assertEq(_handler.returned(evaluation), unearned + forfeited, "I22: the owner's part");
    }
}
