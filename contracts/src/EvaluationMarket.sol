// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    EvaluationClock,
    EvaluationId,
    EvaluationPhase,
    EvaluationTerms,
    IEvaluationMarket,
    ReportState
} from "./interfaces/IEvaluationMarket.sol";
import {ChunkTreeLib} from "./libraries/ChunkTreeLib.sol";

/// @title EvaluationMarket
/// @notice Pays for measuring a model on private data. No owner, no upgrade, no pause.
///
/// PHASES. Commit, then reveal, from counters and block time alone; nobody has to end one.
///
/// MONEY. What an evaluation holds follows from its counters: a revealed report is owed its payment and its stake; an
/// unopened commitment's stake and the payments of empty places are the owner's once the evaluation has ended. Quorum
/// or not, a revealed report is paid: the work was done.
///
/// TOKEN ASSUMPTIONS, REENTRANCY. As in TrainingMarket: deposits are measured, so a transfer moves exactly what was
/// asked or the call reverts; every call writes before it calls out. A hostile token harms those that are paid in it.
///
/// LIVENESS. No call depends on another's good will. There is no loop but up a list's tree.
contract EvaluationMarket is IEvaluationMarket {
    using SafeERC20 for IERC20;

    /// @dev Tags a leaf of a list of accounts; docs/PROTOCOL.md, section 2.
    bytes1 private constant LISTED = 0x05;

    uint256 private constant MOST_DECIMALS = 9;

    enum Escrow {
        Held,
        Refunded,
        Cancelled
    }

    /// @dev One slot.
    struct Live {
        address owner;
        uint32 commitEndsAt;
        uint16 commits;
        uint16 reports;
        uint16 claims;
        Escrow escrow;
    }

    /// @dev One slot. `content` is the commitment, from the opening on the value.
    struct Report {
        bytes31 content;
        ReportState state;
    }

    struct Evaluation {
        Live live;
        EvaluationTerms terms;
        mapping(address account => Report) reports;
    }

    /// @inheritdoc IEvaluationMarket
    uint256 public evaluationCount;

    mapping(EvaluationId id => Evaluation) private _evaluations;

    // --- owner ---

    /// @inheritdoc IEvaluationMarket
    function post(EvaluationTerms calldata newTerms) external returns (EvaluationId id) {
        _validate(newTerms);

        id = EvaluationId.wrap(++evaluationCount);
        Evaluation storage evaluation = _evaluations[id];
        uint32 postedAt = uint32(block.timestamp);
        evaluation.terms = newTerms;
        evaluation.live.owner = msg.sender;
        evaluation.live.commitEndsAt = postedAt + newTerms.commitSeconds;

        emit EvaluationPosted(id, msg.sender, newTerms, postedAt);

        _receive(newTerms.token, uint256(newTerms.payment) * newTerms.maxReports);
    }

    /// @inheritdoc IEvaluationMarket
    function cancel(EvaluationId id) external {
        Evaluation storage evaluation = _evaluations[id];
        Live memory live = _requirePhase(evaluation, EvaluationPhase.Commit);
        require(msg.sender == live.owner, NotOwner(live.owner));
        require(live.commits == 0, AlreadyCommitted());

        uint256 amount = uint256(evaluation.terms.payment) * evaluation.terms.maxReports;
        evaluation.live.escrow = Escrow.Cancelled;

        emit EvaluationCancelled(id, amount);

        evaluation.terms.token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IEvaluationMarket
    function refund(EvaluationId id) external {
        Evaluation storage evaluation = _evaluations[id];
        Live memory live = _requirePhase(evaluation, EvaluationPhase.Ended);
        (, uint256 free, uint256 forfeited) = money(id);
        require(free + forfeited != 0, NothingToRefund());

        evaluation.live.escrow = Escrow.Refunded;

        emit EvaluationRefunded(id, live.owner, free + forfeited, forfeited);

        evaluation.terms.token.safeTransfer(live.owner, free + forfeited);
    }

    // --- reporters ---

    /// @inheritdoc IEvaluationMarket
    function commit(EvaluationId id, bytes32 commitment, uint32 index, bytes32[] calldata siblings) external {
        Evaluation storage evaluation = _evaluations[id];
        EvaluationTerms storage rules = evaluation.terms;
        Live memory live = _requirePhase(evaluation, EvaluationPhase.Commit);
        Report storage report = evaluation.reports[msg.sender];
        require(report.state == ReportState.None, AlreadyCommitted());
        _requireListed(rules.listRoot, index, siblings);

        (report.content, report.state) = (bytes31(commitment), ReportState.Committed);
        if (++live.commits == rules.maxReports) live.commitEndsAt = uint32(block.timestamp);
        evaluation.live = live;

        emit ReportCommitted(id, msg.sender, bytes31(commitment));

        _receive(rules.token, rules.stake);
    }

    /// @inheritdoc IEvaluationMarket
    function reveal(EvaluationId id, int64 value, bytes32 salt) external {
        Evaluation storage evaluation = _evaluations[id];
        EvaluationTerms storage rules = evaluation.terms;
        _requirePhase(evaluation, EvaluationPhase.Reveal);
        Report storage report = evaluation.reports[msg.sender];
        (bytes31 commitment, ReportState state) = (report.content, report.state);
        require(state == ReportState.Committed, WrongOpening(0));
        require(
            commitment == bytes31(keccak256(abi.encode(block.chainid, address(this), id, msg.sender, value, salt))),
            WrongOpening(commitment)
        );
        (int64 low, int64 high) = (rules.low, rules.high);
        require(low <= value && value <= high, ValueOutOfRange(low, high));

        (report.content, report.state) = (_packed(value), ReportState.Revealed);
        evaluation.live.reports += 1;

        emit ReportRevealed(id, msg.sender, value, salt);
    }

    /// @inheritdoc IEvaluationMarket
    function claim(EvaluationId id) external {
        Evaluation storage evaluation = _evaluations[id];
        EvaluationTerms storage rules = evaluation.terms;
        Report storage report = evaluation.reports[msg.sender];
        require(report.state == ReportState.Revealed, NothingToClaim(report.state));

        report.state = ReportState.Paid;
        evaluation.live.claims += 1;
        uint256 amount = uint256(rules.payment) + rules.stake;

        emit ReportPaid(id, msg.sender, amount);

        rules.token.safeTransfer(msg.sender, amount);
    }

    // --- views ---

    /// @inheritdoc IEvaluationMarket
    function terms(EvaluationId id) external view returns (EvaluationTerms memory) {
        return _evaluations[id].terms;
    }

    /// @inheritdoc IEvaluationMarket
    function ownerOf(EvaluationId id) external view returns (address) {
        return _evaluations[id].live.owner;
    }

    /// @inheritdoc IEvaluationMarket
    function clock(EvaluationId id) external view returns (EvaluationClock memory) {
        Evaluation storage evaluation = _evaluations[id];
        Live memory live = evaluation.live;
        EvaluationPhase phase = _phase(evaluation, live);
        uint32 endsAt = 0;
        if (phase == EvaluationPhase.Commit) endsAt = live.commitEndsAt;
        if (phase == EvaluationPhase.Reveal) endsAt = live.commitEndsAt + evaluation.terms.revealSeconds;
        return EvaluationClock(phase, endsAt, live.commits, live.reports, live.claims);
    }

    /// @inheritdoc IEvaluationMarket
    function reportOf(EvaluationId id, address account)
        external
        view
        returns (ReportState state, bytes31 commitment, int64 value)
    {
        Report storage report = _evaluations[id].reports[account];
        state = report.state;
        if (state == ReportState.Committed) commitment = report.content;
        else value = _unpacked(report.content);
    }

    /// @inheritdoc IEvaluationMarket
    function money(EvaluationId id) public view returns (uint256 owed, uint256 free, uint256 locked) {
        Evaluation storage evaluation = _evaluations[id];
        EvaluationTerms storage rules = evaluation.terms;
        Live memory live = evaluation.live;
        (uint256 payment, uint256 stake) = (rules.payment, rules.stake);
        owed = (payment + stake) * (live.reports - live.claims);
        if (live.escrow != Escrow.Held) return (owed, 0, 0);
        free = payment * (rules.maxReports - live.reports);
        locked = stake * (live.commits - live.reports);
    }

    // --- steps ---

    /// @dev Take `amount` from the caller. Last in a call, so that nothing is recorded of a deposit that did not come.
    function _receive(IERC20 token, uint256 amount) private {
        uint256 expected = token.balanceOf(address(this)) + amount;
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 balance = token.balanceOf(address(this));
        require(balance == expected, WrongBalance(balance, expected));
    }

    function _packed(int64 value) private pure returns (bytes31) {
        return bytes31(uint248(uint64(value)));
    }

    function _unpacked(bytes31 content) private pure returns (int64) {
        return int64(uint64(uint248(content)));
    }

    // --- checks ---

    function _validate(EvaluationTerms calldata newTerms) private view {
        require(address(newTerms.token).code.length != 0, InvalidTerms("token"));
        require(newTerms.payment != 0, InvalidTerms("payment"));
        require(newTerms.stake != 0, InvalidTerms("stake"));
        require(newTerms.minReports != 0, InvalidTerms("minReports"));
        require(newTerms.maxReports >= newTerms.minReports, InvalidTerms("maxReports"));
        require(newTerms.commitSeconds != 0, InvalidTerms("commitSeconds"));
        require(newTerms.revealSeconds != 0, InvalidTerms("revealSeconds"));
        require(newTerms.decimals <= MOST_DECIMALS, InvalidTerms("decimals"));
        require(newTerms.high > newTerms.low, InvalidTerms("high"));
        require(newTerms.manifest != 0, InvalidTerms("manifest"));
        require(newTerms.stateRoot != 0, InvalidTerms("stateRoot"));
        require((newTerms.listRoot == 0) == (newTerms.listCid == 0), InvalidTerms("listCid"));
    }

    function _phase(Evaluation storage evaluation, Live memory live) private view returns (EvaluationPhase) {
        if (live.owner == address(0)) return EvaluationPhase.None;
        if (live.escrow == Escrow.Cancelled) return EvaluationPhase.Cancelled;
        if (block.timestamp < live.commitEndsAt) return EvaluationPhase.Commit;
        if (live.reports == live.commits) return EvaluationPhase.Ended;
        uint256 revealEndsAt = uint256(live.commitEndsAt) + evaluation.terms.revealSeconds;
        return block.timestamp < revealEndsAt ? EvaluationPhase.Reveal : EvaluationPhase.Ended;
    }

    function _requirePhase(Evaluation storage evaluation, EvaluationPhase wanted)
        private
        view
        returns (Live memory live)
    {
        live = evaluation.live;
        require(live.owner != address(0), UnknownEvaluation());
        EvaluationPhase phase = _phase(evaluation, live);
        require(phase == wanted, WrongPhase(phase));
    }

    function _requireListed(bytes32 root, uint32 index, bytes32[] calldata siblings) private view {
        if (root == 0) return;
        bytes32 leaf = ChunkTreeLib.leaf(LISTED, index, abi.encodePacked(msg.sender));
        require(ChunkTreeLib.climb(leaf, index, siblings) == root, NotListed(root));
    }
}
