// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {
    EvaluationClock,
    EvaluationId,
    EvaluationPhase,
    EvaluationTerms,
    IEvaluationMarket,
    Metric,
    ReportState
} from "../../src/interfaces/IEvaluationMarket.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";

/// @notice An evaluation market, a token, people with money, and the steps of an evaluation as one-line calls.
abstract contract EvaluationTest is Test {
    uint96 internal constant FORTUNE = 1e27;

    IEvaluationMarket internal market;
    IERC20 internal token;
    EvaluationId internal id;
    EvaluationTerms internal rules;

    address internal owner = address(0xA11CE);
    address internal stranger = address(0x5714A);

    bytes32[] internal noSiblings;
    bytes private _refusal;

    function setUp() public virtual {
        vm.warp(1_750_000_000);
        market = IEvaluationMarket(vm.deployCode("EvaluationMarket.sol:EvaluationMarket"));
        token = _newToken();
        _fund(owner);
        rules = _usualTerms();
    }

    function _usualTerms() internal view returns (EvaluationTerms memory) {
        return EvaluationTerms({
            token: token,
            payment: 7e18,
            stake: 3e18,
            minReports: 2,
            maxReports: 4,
            commitSeconds: 60,
            revealSeconds: 50,
            metric: Metric.Accuracy,
            decimals: 4,
            low: 0,
            high: 10_000,
            noise: 20,
            manifest: keccak256("manifest"),
            stateRoot: keccak256("state"),
            stateCid: keccak256("state cid"),
            listRoot: 0,
            listCid: 0
        });
    }

    function _newToken() internal virtual returns (IERC20) {
        return IERC20(vm.deployCode("DevToken.sol:DevToken"));
    }

    function _fund(address account) internal virtual {
        Mintable(address(token)).mint(account, FORTUNE);
        vm.prank(account);
        token.approve(address(market), type(uint256).max);
    }

    // --- steps ---

    /// @dev The next step must be refused with `refusal`.
    function _refused(bytes memory refusal) internal {
        _refusal = refusal;
    }

    /// @dev The next step must be refused with an error without arguments.
    function _refused(bytes4 selector) internal {
        _refusal = abi.encodePacked(selector);
    }

    /// @dev The next step belongs to another phase than `present`.
    function _refusedIn(EvaluationPhase present) internal {
        _refused(abi.encodeWithSelector(IEvaluationMarket.WrongPhase.selector, present));
    }

    /// @dev The next call to the market comes from `account`.
    function _as(address account) internal {
        if (_refusal.length != 0) vm.expectRevert(_refusal);
        delete _refusal;
        vm.prank(account);
    }

    function _post() internal {
        EvaluationTerms memory terms = rules;
        _as(owner);
        id = market.post(terms);
    }

    function _cancel() internal {
        _as(owner);
        market.cancel(id);
    }

    function _commit(uint256 k) internal {
        address account = _reporter(k);
        if (token.balanceOf(account) == 0) _fund(account);
        bytes32 commitment = _commitment(account, _value(k));
        _as(account);
        market.commit(id, commitment, 0, noSiblings);
    }

    function _reveal(uint256 k) internal {
        _reveal(k, _value(k));
    }

    function _reveal(uint256 k, int64 value) internal {
        _as(_reporter(k));
        market.reveal(id, value, _salt(_reporter(k)));
    }

    function _claim(uint256 k) internal {
        _as(_reporter(k));
        market.claim(id);
    }

    function _refund() internal {
        _as(stranger);
        market.refund(id);
    }

    /// @dev A posted evaluation with commitments of reporters 0 .. count - 1.
    function _committed(uint256 count) internal {
        _post();
        for (uint256 k = 0; k < count; ++k) {
            _commit(k);
        }
    }

    /// @dev The same, then opened by the first `openings` of them.
    function _revealed(uint256 count, uint256 openings) internal {
        _committed(count);
        _warpTo(EvaluationPhase.Reveal);
        for (uint256 k = 0; k < openings; ++k) {
            _reveal(k);
        }
    }

    /// @dev Wait until time alone has brought the evaluation to `phase`.
    function _warpTo(EvaluationPhase phase) internal {
        for (uint256 k = 0; k < 2 && _clock().phase != phase; ++k) {
            vm.warp(_clock().endsAt);
        }
        _assertPhase(phase);
    }

    // --- what people would show ---

    function _reporter(uint256 k) internal pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    function _value(uint256 k) internal view virtual returns (int64) {
        return rules.low + int64(uint64(k));
    }

    function _salt(address account) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", account));
    }

    function _commitment(address account, int64 value) internal view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(market), id, account, value, _salt(account)));
    }

    // --- reading ---

    function _clock() internal view returns (EvaluationClock memory) {
        return market.clock(id);
    }

    function _now() internal view returns (uint32) {
        return uint32(this.time());
    }

    function _balance(address account) internal view returns (uint256) {
        return token.balanceOf(account);
    }

    function _escrow() internal view returns (uint256) {
        return uint256(rules.payment) * rules.maxReports;
    }

    function _assertPhase(EvaluationPhase phase) internal view {
        assertEq(uint256(_clock().phase), uint256(phase), "phase");
    }

    function _assertMoney(uint256 owed, uint256 free, uint256 locked) internal view {
        (uint256 nowOwed, uint256 nowFree, uint256 nowLocked) = market.money(id);
        assertEq(nowOwed, owed, "owed");
        assertEq(nowFree, free, "free");
        assertEq(nowLocked, locked, "locked");
    }

    function _assertReport(uint256 k, ReportState state, int64 value) internal view {
        (ReportState nowState,, int64 nowValue) = market.reportOf(id, _reporter(k));
        assertEq(uint256(nowState), uint256(state), "state");
        assertEq(uint256(int256(nowValue)), uint256(int256(value)), "value");
    }
}
