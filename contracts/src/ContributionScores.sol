// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {BountyId, Clock, Merge, MergeRecord, Phase, Reveal, RewardRule, Terms} from "./Types.sol";
import {
    Evaluator,
    IContributionScores,
    Panel,
    ScoreClock,
    ScorePhase,
    ScoreState,
    Tally
} from "./interfaces/IContributionScores.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {ScoreLib} from "./libraries/ScoreLib.sol";

/// @title ContributionScores
/// @notice Divides what a round pays by what each accepted update contributed. No owner, no upgrade, no pause.
///
/// ROUNDS. A round is scored once its merge has vested: commit, then reveal, from block time alone, and early when all
/// evaluators have acted. Then anyone settles it, once: by the medians of the opened reports, or equally where fewer
/// than the quorum were opened or there is no panel.
///
/// MONEY. A round's money comes from the market when it is settled. Of a bounty this contract holds the bonds, the fees
/// that were earned, what the updates of settled rounds have not taken, and the rest that is its owner's. Whoever is
/// owed takes it by an own call, so that nobody who can't be paid stops anyone else.
///
/// TOKEN ASSUMPTIONS. As in TrainingMarket: what comes in is measured, so a transfer moves exactly what was asked or the
/// call reverts. A hostile token harms those that are paid in it.
///
/// REENTRANCY. Every call writes before it calls out. What the market will release is computed before, and must be what
/// it then releases. While money is under way it is recorded but not yet here: what a re-entering caller takes out in
/// between is missing from what was received, and the whole call reverts.
///
/// LIVENESS. No call depends on an evaluator's or the owner's good will. Loops run over one panel and one round's updates.
contract ContributionScores is IContributionScores {
    using MergeLib for MergeRecord;
    using SafeERC20 for IERC20;
    using ScoreLib for uint256[];
    using ScoreLib for uint256[][];

    uint256 private constant FEWEST_EVALUATORS = 3;
    uint256 private constant MOST_EVALUATORS = 15;
    uint256 private constant BPS = 10_000;
    uint256 private constant WHOLE = 1 << 32;

    /// @dev One slot. `content` is the commitment, from the opening on the report's hash.
    struct Report {
        bytes31 content;
        ScoreState state;
    }

    struct Round {
        Tally tally;
        uint256 claimed; // bit i: the update with reveal index i was paid
        uint256[] weights; // 8 a word, as in a report
        mapping(address evaluator => Report) reports;
    }

    struct Book {
        IERC20 token; // 0 until a panel is appointed or a round is settled
        uint128 rest; // the owner's
        Panel panel;
        mapping(address account => Evaluator) evaluators;
        mapping(uint16 round => Round) rounds;
    }

    /// @inheritdoc IContributionScores
    ITrainingMarket public immutable market;

    mapping(BountyId id => Book) private _books;

    constructor(ITrainingMarket newMarket) {
        market = newMarket;
    }

    // --- owner ---

    /// @inheritdoc IContributionScores
    function appoint(BountyId id, Panel calldata panel) external {
        Book storage book = _books[id];
        address owner = market.ownerOf(id);
        require(msg.sender == owner, NotOwner(owner));
        Terms memory terms = market.terms(id);
        require(terms.rewardRule == RewardRule.Contribution, OtherRewardRule());
        Clock memory present = market.clock(id);
        require(present.phase == Phase.Joining && present.memberCount == 0, AppointedTooLate(present.memberCount));
        require(book.panel.evaluators.length == 0, AlreadyAppointed());
        _validate(panel);

        book.token = terms.token;
        book.panel = panel;
        for (uint8 k = 0; k < panel.evaluators.length; ++k) {
            Evaluator storage seat = book.evaluators[panel.evaluators[k]];
            require(panel.evaluators[k] != address(0) && seat.place == 0, InvalidPanel("evaluators"));
            seat.place = k + 1;
        }

        emit PanelAppointed(id, panel);
    }

    // --- evaluators ---

    /// @inheritdoc IContributionScores
    function depositBond(BountyId id) external {
        Book storage book = _books[id];
        Evaluator storage seat = book.evaluators[msg.sender];
        (uint96 bond, uint96 held) = (book.panel.bond, seat.bond);
        require(seat.place != 0, NotEvaluator());
        require(held < bond, AlreadyBonded(held));

        seat.bond = bond;

        emit EvaluatorBonded(id, msg.sender, bond - held);

        uint256 expected = book.token.balanceOf(address(this)) + bond - held;
        book.token.safeTransferFrom(msg.sender, address(this), bond - held);
        _requireBalance(book.token, expected);
    }

    /// @inheritdoc IContributionScores
    function withdrawBond(BountyId id) external {
        Book storage book = _books[id];
        Evaluator storage seat = book.evaluators[msg.sender];
        uint96 amount = seat.bond;
        require(seat.open == 0, CommitmentsOpen(seat.open));
        require(amount != 0, NothingToClaim());

        seat.bond = 0;

        emit EvaluatorBondWithdrawn(id, msg.sender, amount);

        book.token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IContributionScores
    function commit(BountyId id, uint16 round, bytes32 commitment) external {
        Book storage book = _books[id];
        Round storage scored = book.rounds[round];
        Evaluator storage seat = book.evaluators[msg.sender];
        Report storage report = scored.reports[msg.sender];
        require(seat.place != 0, NotEvaluator());
        Tally memory tally = scored.tally;
        _requirePhase(book, tally, market.mergeOf(id, round), ScorePhase.Commit);
        require(report.state == ScoreState.None, ScoresAlreadyCommitted());
        (uint96 bond, uint16 open) = (seat.bond, seat.open);
        uint256 needed = uint256(book.panel.forfeit) * (uint256(open) + 1);
        require(bond >= needed, BondTooSmall(needed));

        (report.content, report.state) = (bytes31(commitment), ScoreState.Committed);
        seat.open = open + 1;
        if (++tally.commits == book.panel.evaluators.length) tally.commitEndedAt = uint32(block.timestamp);
        scored.tally = tally;

        emit ScoresCommitted(id, round, msg.sender, bytes31(commitment));
    }

    /// @inheritdoc IContributionScores
    function reveal(BountyId id, uint16 round, uint256[] calldata report, bytes32 salt) external {
        Book storage book = _books[id];
        Round storage scored = book.rounds[round];
        Report storage shown = scored.reports[msg.sender];
        Merge memory merged = market.mergeOf(id, round);
        _requirePhase(book, scored.tally, merged, ScorePhase.Reveal);
        require(shown.state == ScoreState.Committed, WrongOpening(0));
        require(_commitment(id, round, report, salt) == shown.content, WrongOpening(shown.content));
        uint256 length = ScoreLib.wordsFor(merged.reveals);
        require(report.length == length && report.endsAt(merged.reveals), WrongReportLength(length));
        uint256 total = report.sum();
        require(total < WHOLE, ReportOverWhole(total));

        (shown.content, shown.state) = (_hash(report), ScoreState.Revealed);
        scored.tally.reveals += 1;

        emit ScoresRevealed(id, round, msg.sender, report, salt);
    }

    /// @inheritdoc IContributionScores
    function collectFees(BountyId id) external {
        Book storage book = _books[id];
        Evaluator storage seat = book.evaluators[msg.sender];
        uint96 amount = seat.earned;
        require(amount != 0, NothingToClaim());

        seat.earned = 0;

        emit FeesCollected(id, msg.sender, amount);

        book.token.safeTransfer(msg.sender, amount);
    }

    // --- anyone ---

    /// @inheritdoc IContributionScores
    function settle(BountyId id, uint16 round, MergeRecord calldata record, uint256[][] calldata reports) external {
        Book storage book = _books[id];
        Round storage scored = book.rounds[round];
        Merge memory merged = market.mergeOf(id, round);
        Terms memory terms = market.terms(id);
        Tally memory tally = scored.tally;
        require(terms.rewardRule == RewardRule.Contribution, OtherRewardRule());
        _requirePhase(book, tally, merged, ScorePhase.Due);
        require(record.hash() == merged.recordHash, WrongRecord());
        uint256[][] memory opened = _opened(book, scored, reports, tally.reveals);
        uint256[] memory weights = opened.length == 0
            ? ScoreLib.equal(merged.reveals, record.rejected)
            : opened.medians(merged.reveals, record.rejected);
        uint96 released = _releasable(id, merged.paid);

        if (address(book.token) == address(0)) book.token = terms.token;
        (tally.settled, tally.total) = (true, uint48(weights.sum()));
        tally.pot = _settleEvaluators(id, round, opened, weights, released);
        scored.tally = tally;
        scored.weights = weights;
        uint128 rest = uint128(weights.leftover(tally.pot, tally.total));
        book.rest += rest;

        emit RoundScored(id, round, opened.length != 0, released, tally.pot, rest, weights);

        _receive(terms.token, id, round, released);
    }

    /// @inheritdoc IContributionScores
    function claim(BountyId id, uint16 round, bytes32 updateRoot) external {
        Book storage book = _books[id];
        Round storage scored = book.rounds[round];
        Tally memory tally = scored.tally;
        Reveal memory shown = market.revealOf(id, round, updateRoot);
        require(msg.sender == shown.provider, NotProvider(shown.provider));
        require(tally.settled, NotSettled());
        uint256 claimed = scored.claimed;
        require(claimed >> shown.index & 1 == 0, AlreadyClaimed());
        uint256 weight = _weightOf(scored, shown.index);
        uint128 amount = weight == 0 ? 0 : uint128(ScoreLib.shareDown(tally.pot, weight, tally.total));
        require(amount != 0, NothingToClaim());

        scored.claimed = claimed | 1 << shown.index;

        emit ScoreClaimed(id, round, msg.sender, updateRoot, amount);

        book.token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IContributionScores
    function returnRest(BountyId id) external {
        Book storage book = _books[id];
        uint128 amount = book.rest;
        require(amount != 0, NothingToClaim());
        address owner = market.ownerOf(id);

        book.rest = 0;

        emit RestReturned(id, owner, amount);

        book.token.safeTransfer(owner, amount);
    }

    // --- views ---

    /// @inheritdoc IContributionScores
    function panelOf(BountyId id) external view returns (Panel memory) {
        return _books[id].panel;
    }

    /// @inheritdoc IContributionScores
    function evaluatorOf(BountyId id, address account) external view returns (Evaluator memory) {
        return _books[id].evaluators[account];
    }

    /// @inheritdoc IContributionScores
    function clock(BountyId id, uint16 round) external view returns (ScoreClock memory) {
        Book storage book = _books[id];
        Tally memory tally = book.rounds[round].tally;
        Merge memory merged = market.mergeOf(id, round);
        ScorePhase phase = ScorePhase.None;
        uint256 endsAt = 0;
        if (market.terms(id).rewardRule == RewardRule.Contribution) (phase, endsAt) = _phase(book, tally, merged);
        return ScoreClock(phase, uint32(endsAt), tally.commits, tally.reveals);
    }

    /// @inheritdoc IContributionScores
    function reportOf(BountyId id, uint16 round, address evaluator)
        external
        view
        returns (ScoreState state, bytes31 content)
    {
        Report storage report = _books[id].rounds[round].reports[evaluator];
        return (report.state, report.content);
    }

    /// @inheritdoc IContributionScores
    function tallyOf(BountyId id, uint16 round) external view returns (Tally memory) {
        return _books[id].rounds[round].tally;
    }

    /// @inheritdoc IContributionScores
    function weightOf(BountyId id, uint16 round, uint8 index) external view returns (uint32 weight, bool claimed) {
        Round storage scored = _books[id].rounds[round];
        return (uint32(_weightOf(scored, index)), scored.claimed >> index & 1 == 1);
    }

    /// @inheritdoc IContributionScores
    function restOf(BountyId id) external view returns (uint128) {
        return _books[id].rest;
    }

    // --- steps ---

    /// @dev What each evaluator opened, in the panel's order, an empty array for whom nothing is there; none at all
    /// without a quorum.
    function _opened(Book storage book, Round storage scored, uint256[][] calldata reports, uint8 reveals)
        private
        view
        returns (uint256[][] memory opened)
    {
        uint256 count = book.panel.evaluators.length;
        if (count == 0 || reveals < book.panel.quorum) count = 0;
        require(reports.length == count, WrongReports(count));
        opened = new uint256[][](count);
        for (uint256 k = 0; k < count; ++k) {
            address evaluator = book.panel.evaluators[k];
            Report storage report = scored.reports[evaluator];
            opened[k] = reports[k];
            bool isOpen = report.state == ScoreState.Revealed;
            require(isOpen ? _hash(opened[k]) == report.content : opened[k].length == 0, WrongReport(evaluator));
        }
    }

    /// @dev Fees and forfeits of all who committed, and with them what is left to the updates.
    function _settleEvaluators(
        BountyId id,
        uint16 round,
        uint256[][] memory opened,
        uint256[] memory weights,
        uint96 released
    ) private returns (uint128 pot) {
        Book storage book = _books[id];
        Round storage scored = book.rounds[round];
        uint256 count = book.panel.evaluators.length;
        uint256 farthest = book.panel.tolerance * WHOLE / BPS;
        pot = released;
        for (uint256 k = 0; k < count; ++k) {
            address evaluator = book.panel.evaluators[k];
            ScoreState state = scored.reports[evaluator].state;
            if (state == ScoreState.None) continue;
            bool isNear = opened.length != 0 && state == ScoreState.Revealed && opened[k].distance(weights) <= farthest;
            uint96 fee = isNear ? uint96(uint256(released) * book.panel.feeShare / BPS / count) : 0;
            uint96 forfeited = state == ScoreState.Committed ? book.panel.forfeit : 0;
            pot = pot - fee + forfeited;
            Evaluator storage seat = book.evaluators[evaluator];
            (seat.bond, seat.earned, seat.open) = (seat.bond - forfeited, seat.earned + fee, seat.open - 1);

            emit EvaluatorSettled(id, round, evaluator, fee, forfeited);
        }
    }

    /// @dev Take what the market releases. Last in a call, like every deposit.
    function _receive(IERC20 token, BountyId id, uint16 round, uint96 expected) private {
        uint256 balance = token.balanceOf(address(this)) + expected;
        uint96 released = market.release(id, round);
        require(released == expected, WrongBalance(released, expected));
        _requireBalance(token, balance);
    }

    // --- readings ---

    /// @dev What the market will release: less than was paid only where a wrong payout tree took of it.
    function _releasable(BountyId id, uint96 paid) private view returns (uint96) {
        (uint96 owed,) = market.money(id);
        return paid < owed ? paid : owed;
    }

    function _weightOf(Round storage scored, uint256 update) private view returns (uint256) {
        uint256 word = ScoreLib.wordOf(update);
        return word < scored.weights.length ? ScoreLib.partOf(scored.weights[word], update) : 0;
    }

    function _hash(uint256[] memory report) private pure returns (bytes31) {
        return bytes31(keccak256(abi.encodePacked(report)));
    }

    function _commitment(BountyId id, uint16 round, uint256[] calldata report, bytes32 salt)
        private
        view
        returns (bytes31)
    {
        bytes32 hash = keccak256(abi.encodePacked(report));
        return bytes31(keccak256(abi.encode(block.chainid, address(this), id, round, msg.sender, hash, salt)));
    }

    /// @dev The phase of a round that is paid by contribution, and when time ends it.
    function _phase(Book storage book, Tally memory tally, Merge memory merged)
        private
        view
        returns (ScorePhase, uint256 endsAt)
    {
        if (tally.settled) return (ScorePhase.Settled, 0);
        if (merged.payoutRoot == 0) return (ScorePhase.None, 0);
        if (block.timestamp < merged.vestsAt) return (ScorePhase.Waiting, merged.vestsAt);
        if (book.panel.evaluators.length == 0) return (ScorePhase.Due, 0);
        endsAt = tally.commitEndedAt;
        if (endsAt == 0) endsAt = uint256(merged.vestsAt) + book.panel.commitSeconds;
        if (block.timestamp < endsAt) return (ScorePhase.Commit, endsAt);
        endsAt += book.panel.revealSeconds;
        if (block.timestamp < endsAt && tally.reveals < tally.commits) return (ScorePhase.Reveal, endsAt);
        return (ScorePhase.Due, 0);
    }

    // --- checks ---

    function _validate(Panel calldata panel) private pure {
        uint256 count = panel.evaluators.length;
        require(panel.bond != 0, InvalidPanel("bond"));
        require(panel.forfeit != 0 && panel.forfeit <= panel.bond, InvalidPanel("forfeit"));
        require(panel.commitSeconds != 0, InvalidPanel("commitSeconds"));
        require(panel.revealSeconds != 0, InvalidPanel("revealSeconds"));
        require(panel.feeShare <= BPS, InvalidPanel("feeShare"));
        require(panel.tolerance <= 2 * BPS, InvalidPanel("tolerance"));
        require(panel.validation != 0, InvalidPanel("validation"));
        require(FEWEST_EVALUATORS <= count && count <= MOST_EVALUATORS, InvalidPanel("evaluators"));
        require(panel.quorum > count / 2 && panel.quorum <= count, InvalidPanel("quorum"));
    }

    function _requirePhase(Book storage book, Tally memory tally, Merge memory merged, ScorePhase wanted) private view {
        (ScorePhase phase,) = _phase(book, tally, merged);
        require(phase == wanted, WrongScorePhase(phase));
    }

    function _requireBalance(IERC20 token, uint256 expected) private view {
        uint256 balance = token.balanceOf(address(this));
        require(balance == expected, WrongBalance(balance, expected));
    }
}
