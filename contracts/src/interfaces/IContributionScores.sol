// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BountyId, MergeRecord} from "../Types.sol";
import {ITrainingMarket} from "./ITrainingMarket.sol";

/// @notice Who measures what updates contributed, under which rules. Nothing in it can change later.
/// @dev The order is the storage layout.
struct Panel {
    // slot 0
    uint96 bond; // what an evaluator locks, in the bounty's token, > 0
    uint96 forfeit; // what a commitment costs that is not opened, 1 .. bond
    uint24 commitSeconds; // from the merge's vesting on, > 0
    uint24 revealSeconds; // > 0
    uint8 quorum; // opened reports that a round needs: more than half of the evaluators, .. all of them
    // slot 1
    uint16 feeShare; // the evaluators' part of what a round pays, in 1/10,000, .. 10,000
    uint16 tolerance; // how far from the medians a report still earns its fee, in 1/10,000 of 2^32, .. 20,000
    // slots 2 ..
    bytes32 validation; // sha2-256 digest of the CIDv0 of the validation file
    address[] evaluators; // 3 .. 15, all different
}

/// @notice Where the scoring of a round stands. Derived from counters and block time; see `IContributionScores.clock`.
enum ScorePhase {
    None, // no merge, or one that does not pay by contribution
    Waiting, // the merge has not vested
    Commit,
    Reveal,
    Due, // anyone may settle it
    Settled
}

/// @notice How far an evaluator is with its report on a round.
enum ScoreState {
    None,
    Committed,
    Revealed
}

/// @notice Where the scoring of a round stands at the present block.
struct ScoreClock {
    ScorePhase phase;
    uint32 endsAt; // when time ends the phase; 0 where it does not
    uint8 commits;
    uint8 reveals; // commitments that were opened
}

/// @notice An evaluator's standing in one bounty. One slot.
struct Evaluator {
    uint96 bond; // what it has locked
    uint96 earned; // fees that it has not taken
    uint16 open; // rounds with a commitment of it that are not settled
    uint8 place; // in the panel, from 1; 0: no evaluator
}

/// @notice What is kept of a round. One slot.
struct Tally {
    uint128 pot; // what its accepted updates divide
    uint48 total; // the sum of their weights
    uint32 commitEndedAt; // when the last evaluator committed; 0: the window's end counts
    uint8 commits;
    uint8 reveals; // commitments that were opened
    bool settled;
}

/// @title IContributionScores
/// @notice Divides what a round pays by what each accepted update contributed, as the median of bonded evaluators says.
/// No owner, no upgrade, no pause.
/// @dev Warning: a report is its evaluator's word. More than half of those who report can divide a round as they like.
/// What the contract holds is that the panel stood before anyone joined, that nobody chose a report after seeing
/// another's, that fewer than half of the reports can't move a weight beyond the others', and that a panel that does
/// not act costs nobody but itself: the round is then divided equally.
interface IContributionScores {
    event PanelAppointed(BountyId indexed bounty, Panel panel);
    event EvaluatorBonded(BountyId indexed bounty, address indexed evaluator, uint96 amount);
    event EvaluatorBondWithdrawn(BountyId indexed bounty, address indexed evaluator, uint96 amount);
    event ScoresCommitted(BountyId indexed bounty, uint16 indexed round, address indexed evaluator, bytes31 commitment);
    event ScoresRevealed(
        BountyId indexed bounty, uint16 indexed round, address indexed evaluator, uint256[] report, bytes32 salt
    );
    /// @notice What a round brought or cost an evaluator that had committed. `RoundScored` follows.
    event EvaluatorSettled(
        BountyId indexed bounty, uint16 indexed round, address indexed evaluator, uint96 fee, uint96 forfeited
    );
    /// @notice A round was divided: of what the market released and what was forfeited, `pot` among the updates by
    /// `weights` (packed like a report), the fees to evaluators; of `pot` the floors leave `rest` to the owner.
    event RoundScored(
        BountyId indexed bounty,
        uint16 indexed round,
        bool byMedian,
        uint128 released,
        uint128 pot,
        uint128 rest,
        uint256[] weights
    );
    event ScoreClaimed(
        BountyId indexed bounty, uint16 indexed round, address indexed provider, bytes32 updateRoot, uint128 amount
    );
    event FeesCollected(BountyId indexed bounty, address indexed evaluator, uint96 amount);
    event RestReturned(BountyId indexed bounty, address indexed owner, uint128 amount);

    /// @notice The call belongs to another phase than the round's present one.
    error WrongScorePhase(ScorePhase present);
    error NotOwner(address owner);
    /// @notice The bounty pays by another rule.
    error OtherRewardRule();
    error AlreadyAppointed();
    /// @notice A panel must stand before anyone joins.
    error AppointedTooLate(uint16 memberCount);
    /// @notice The first field of the panel that is out of its range.
    error InvalidPanel(string field);
    error NotEvaluator();
    error AlreadyBonded(uint96 bond);
    /// @notice The bond does not cover one more unopened commitment.
    error BondTooSmall(uint256 needed);
    /// @notice So many rounds with a commitment of the evaluator are not settled.
    error CommitmentsOpen(uint16 rounds);
    error ScoresAlreadyCommitted();
    error WrongOpening(bytes31 commitment);
    /// @notice The report has another number of words, or something beyond its last part.
    error WrongReportLength(uint256 expected);
    /// @notice The report's parts add up to more than 2^32 - 1.
    error ReportOverWhole(uint256 total);
    /// @notice The record is not that of the round's merge.
    error WrongRecord();
    /// @notice So many reports, one an evaluator and empty where it opened none, are to be shown.
    error WrongReports(uint256 expected);
    /// @notice The bytes are not what this evaluator opened.
    error WrongReport(address evaluator);
    error NotProvider(address provider);
    error NotSettled();
    error AlreadyClaimed();
    error NothingToClaim();
    /// @notice Another amount came in than the one that was expected.
    error WrongBalance(uint256 present, uint256 expected);

    // --- owner ---

    /// @notice Name the bounty's evaluators, once, before anyone has joined. Without a panel every round is divided equally.
    function appoint(BountyId bounty, Panel calldata panel) external;

    // --- evaluators ---

    /// @notice Lock the panel's bond, or what is missing of it.
    function depositBond(BountyId bounty) external;

    /// @notice Take the bond back, less what was forfeited, while no commitment of the caller waits for its settlement.
    function withdrawBond(BountyId bounty) external;

    /// @notice Record `commitment` for `round`, once its merge has vested.
    /// @dev Warning: its first 31 bytes are kept. Unopened, it costs the panel's `forfeit`; the bond must cover that.
    /// @param commitment keccak256(abi.encode(chainid, this, bounty, round, sender, keccak256(abi.encodePacked(report)), salt))
    function commit(BountyId bounty, uint16 round, bytes32 commitment) external;

    /// @notice Open the caller's commitment of `round`.
    /// @param report 32 bits a revealed update, by reveal index, 8 in a word, the first in the highest bits, zeros after
    /// the last: the update's part of the pay in units of 2^-32, at most 2^32 - 1 together. What it says of a rejected
    /// update is no part of a median.
    function reveal(BountyId bounty, uint16 round, uint256[] calldata report, bytes32 salt) external;

    /// @notice Pay the caller the fees of all settled rounds.
    function collectFees(BountyId bounty) external;

    // --- anyone ---

    /// @notice Divide what `round` pays, once the evaluators' time is over or all of them have acted.
    /// @param record what the merge's record hash binds: it says which updates were accepted
    /// @param reports with a quorum what each evaluator opened, in the panel's order, empty where it opened nothing;
    /// without one none
    function settle(BountyId bounty, uint16 round, MergeRecord calldata record, uint256[][] calldata reports) external;

    /// @notice Pay the caller for an update that it revealed in a settled round. Once.
    function claim(BountyId bounty, uint16 round, bytes32 updateRoot) external;

    /// @notice Return to the bounty's owner what no update of the settled rounds earned.
    function returnRest(BountyId bounty) external;

    // --- views ---

    /// @notice The market whose rounds are scored.
    function market() external view returns (ITrainingMarket);

    /// @notice The bounty's panel; no evaluators where none was appointed.
    function panelOf(BountyId bounty) external view returns (Panel memory);

    /// @notice An account's standing as an evaluator; zeros for others.
    function evaluatorOf(BountyId bounty, address account) external view returns (Evaluator memory);

    /// @notice Where the scoring of a round stands at the current block's time.
    function clock(BountyId bounty, uint16 round) external view returns (ScoreClock memory);

    /// @notice How far an evaluator is with its report on a round.
    /// @return state none, committed or revealed
    /// @return content its commitment, from the opening on the hash of its packed report; the first 31 bytes of them
    function reportOf(BountyId bounty, uint16 round, address evaluator)
        external
        view
        returns (ScoreState state, bytes31 content);

    /// @notice What is kept of a round; zeros where nothing has happened.
    function tallyOf(BountyId bounty, uint16 round) external view returns (Tally memory);

    /// @notice What the update with this reveal index weighs in a settled round, and whether its pay was taken.
    function weightOf(BountyId bounty, uint16 round, uint8 index) external view returns (uint32 weight, bool claimed);

    /// @notice What `returnRest` would pay to the bounty's owner.
    function restOf(BountyId bounty) external view returns (uint128);
}
