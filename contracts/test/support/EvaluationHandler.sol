// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    EvaluationClock,
    EvaluationId,
    EvaluationPhase,
    EvaluationTerms,
    IEvaluationMarket,
    ReportState
} from "../../src/interfaces/IEvaluationMarket.sol";
import {Mintable} from "./Mintable.sol";
import {Test} from "./Test.sol";

/// @notice Random people in two evaluations of one token. Every action is valid when it is made, or must be refused.
/// Ghosts count, apart from the contract, what came in, what went out and how far everyone is.
contract EvaluationHandler is Test {
    uint256 public constant EVALUATIONS = 2;
    uint256 public constant REPORTERS = 5;
    uint256 private constant FORTUNE = 1e30;

    IEvaluationMarket public immutable market;
    Mintable public immutable token;
    address public immutable owner;

    // ghosts
    mapping(uint256 evaluation => uint256) public cameIn;
    mapping(uint256 evaluation => uint256) public wentOut;
    mapping(uint256 evaluation => uint256) public returned; // to the owner
    mapping(uint256 evaluation => mapping(address account => uint256)) public paid;
    mapping(uint256 evaluation => mapping(address account => ReportState)) public stateOf;
    mapping(uint256 evaluation => mapping(address account => int64)) public valueOf;
    mapping(uint256 evaluation => bool) public cancelled;
    mapping(uint256 evaluation => uint256) private _progress;

    constructor(IEvaluationMarket market_, Mintable token_, EvaluationTerms[2] memory rules, address owner_) {
        (market, token, owner) = (market_, token_, owner_);
        _fund(owner);
        for (uint256 k = 0; k < REPORTERS; ++k) {
            _fund(reporterAt(k));
        }
        for (uint256 k = 0; k < EVALUATIONS; ++k) {
            vm.prank(owner);
            uint256 evaluation = EvaluationId.unwrap(market.post(rules[k]));
            cameIn[evaluation] = uint256(rules[k].payment) * rules[k].maxReports;
        }
    }

    function _fund(address account) private {
        token.mint(account, FORTUNE);
        vm.prank(account);
        token.approve(address(market), type(uint256).max);
    }

    function reporterAt(uint256 k) public pure returns (address) {
        return address(uint160(0x1000 + k));
    }

    /// @dev After every action: phases and counters never go back, and the money that moved is the money that was due.
    modifier act(uint256 evaluation) {
        uint256 before = token.balanceOf(address(market));
        (uint256 inBefore, uint256 outBefore) = (cameIn[evaluation], wentOut[evaluation]);
        _;
        uint256 expected = before + (cameIn[evaluation] - inBefore) - (wentOut[evaluation] - outBefore);
        assertEq(token.balanceOf(address(market)), expected, "money moved by an action");
        for (uint256 k = 1; k <= EVALUATIONS; ++k) {
            _checkProgress(k);
        }
    }

    function _checkProgress(uint256 evaluation) private {
        EvaluationClock memory clock = market.clock(EvaluationId.wrap(evaluation));
        uint256 past = _progress[evaluation];
        assertLe(past >> 192, uint256(clock.phase), "I20: phase");
        assertLe(past >> 128 & type(uint64).max, clock.commits, "I20: commits");
        assertLe(past >> 64 & type(uint64).max, clock.reports, "I20: reports");
        assertLe(past & type(uint64).max, clock.claims, "I20: claims");
        _progress[evaluation] = uint256(clock.phase) << 192 | uint256(clock.commits) << 128 | uint256(clock.reports)
            << 64 | uint256(clock.claims);
    }

    // --- actions ---

    function wait(uint256 seconds_) external act(0) {
        skip(bound(seconds_, 1, 20));
    }

    function commit(uint256 evaluation, uint256 who, int64 value) external {
        evaluation = _evaluation(evaluation);
        _commit(evaluation, reporterAt(who % REPORTERS), value);
    }

    function _commit(uint256 evaluation, address account, int64 seed) private act(evaluation) {
        int64 value = _inRange(evaluation, seed);
        bytes memory call = _commitCall(evaluation, account, value);
        bool isOpen = _phase(EvaluationId.wrap(evaluation)) == EvaluationPhase.Commit;
        if (!isOpen || stateOf[evaluation][account] != ReportState.None) {
            _refused(account, call, "I19: committed twice or too late");
            return;
        }
        _done(account, call);
        cameIn[evaluation] += market.terms(EvaluationId.wrap(evaluation)).stake;
        stateOf[evaluation][account] = ReportState.Committed;
        valueOf[evaluation][account] = value;
    }

    function _inRange(uint256 evaluation, int64 seed) private view returns (int64) {
        EvaluationTerms memory terms = market.terms(EvaluationId.wrap(evaluation));
        uint256 span = uint256(int256(terms.high) - terms.low) + 1;
        return int64(int256(terms.low) + int256(uint256(uint64(seed)) % span));
    }

    function _commitCall(uint256 evaluation, address account, int64 value) private view returns (bytes memory) {
        bytes32 salt = "salt";
        bytes32 commitment = keccak256(abi.encode(block.chainid, address(market), evaluation, account, value, salt));
        return abi.encodeCall(market.commit, (EvaluationId.wrap(evaluation), commitment, 0, new bytes32[](0)));
    }

    function reveal(uint256 evaluation, uint256 who) external {
        evaluation = _evaluation(evaluation);
        _reveal(evaluation, reporterAt(who % REPORTERS));
    }

    function _reveal(uint256 evaluation, address account) private act(0) {
        EvaluationId id = EvaluationId.wrap(evaluation);
        bytes memory call = abi.encodeCall(market.reveal, (id, valueOf[evaluation][account], "salt"));
        if (_phase(id) != EvaluationPhase.Reveal || stateOf[evaluation][account] != ReportState.Committed) {
            _refused(account, call, "revealed twice or at the wrong time");
            return;
        }
        _done(account, call);
        stateOf[evaluation][account] = ReportState.Revealed;
    }

    function claim(uint256 evaluation, uint256 who) external {
        evaluation = _evaluation(evaluation);
        _claim(evaluation, reporterAt(who % REPORTERS));
    }

    function _claim(uint256 evaluation, address account) private act(evaluation) {
        EvaluationId id = EvaluationId.wrap(evaluation);
        bytes memory call = abi.encodeCall(market.claim, (id));
        if (stateOf[evaluation][account] != ReportState.Revealed) {
            _refused(account, call, "I19: claimed twice or unearned");
            return;
        }
        uint256 before = token.balanceOf(account);
        _done(account, call);
        stateOf[evaluation][account] = ReportState.Paid;
        uint256 amount = token.balanceOf(account) - before;
        wentOut[evaluation] += amount;
        paid[evaluation][account] += amount;
    }

    function refund(uint256 evaluation) external {
        _refund(_evaluation(evaluation));
    }

    function _refund(uint256 evaluation) private act(evaluation) {
        EvaluationId id = EvaluationId.wrap(evaluation);
        (, uint256 free, uint256 locked) = market.money(id);
        bytes memory call = abi.encodeCall(market.refund, (id));
        if (_phase(id) != EvaluationPhase.Ended || free + locked == 0) {
            _refused(owner, call, "refunded early or twice");
            return;
        }
        _returns(evaluation, call);
    }

    function cancel(uint256 evaluation, uint256 dice) external {
        if (dice % 32 == 0) _cancel(_evaluation(evaluation));
    }

    function _cancel(uint256 evaluation) private act(evaluation) {
        EvaluationId id = EvaluationId.wrap(evaluation);
        bytes memory call = abi.encodeCall(market.cancel, (id));
        if (_phase(id) != EvaluationPhase.Commit || market.clock(id).commits != 0) {
            _refused(owner, call, "cancelled late");
            return;
        }
        _returns(evaluation, call);
        cancelled[evaluation] = true;
    }

    /// @notice Everyone takes what is theirs, after all windows.
    function drain() external {
        skip(1_000);
        for (uint256 evaluation = 1; evaluation <= EVALUATIONS; ++evaluation) {
            _refund(evaluation);
            for (uint256 k = 0; k < REPORTERS; ++k) {
                _claim(evaluation, reporterAt(k));
            }
        }
    }

    // --- steps ---

    function _returns(uint256 evaluation, bytes memory call) private {
        uint256 before = token.balanceOf(owner);
        _done(owner, call);
        uint256 amount = token.balanceOf(owner) - before;
        wentOut[evaluation] += amount;
        returned[evaluation] += amount;
    }

    function _done(address account, bytes memory call) private {
        vm.prank(account);
        (bool success,) = address(market).call(call);
        assertTrue(success, "a valid call was refused");
    }

    function _refused(address account, bytes memory call, string memory what) private {
        vm.prank(account);
        (bool success,) = address(market).call(call);
        assertTrue(!success, what);
    }

    function _phase(EvaluationId id) private view returns (EvaluationPhase) {
        return market.clock(id).phase;
    }

    function _evaluation(uint256 seed) private pure returns (uint256) {
        return seed % EVALUATIONS + 1;
    }
}
