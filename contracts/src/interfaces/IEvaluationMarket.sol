// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Identifies an evaluation. Ids start at 1 and are never reused.
type EvaluationId is uint256;

/// @notice What is measured, as a mean over examples. New metrics are appended, never renumbered.
enum Metric {
    Accuracy,
    MeanSquaredError,
    MeanAbsoluteError,
    CrossEntropy
}

/// @notice Where an evaluation stands. Derived from counters and block time; see `IEvaluationMarket.clock`.
enum EvaluationPhase {
    None, // no such evaluation
    Commit,
    Reveal,
    Ended, // all commitments are open, or the time to open them is over
    Cancelled
}

/// @notice How far an account is with its report.
enum ReportState {
    None,
    Committed,
    Revealed,
    Paid
}

/// @notice What an evaluation's owner fixes when posting. Nothing in it can change later.
/// @dev The order is the storage layout.
struct EvaluationTerms {
    // slot 0
    IERC20 token; // payments and stakes are paid in it
    uint96 payment; // for each revealed report, > 0
    // slot 1
    uint96 stake; // locked with a commitment, back with the payment, > 0
    uint16 minReports; // fewer tell nothing, the owner says: 1 .. maxReports; they are paid all the same
    uint16 maxReports; // places; `maxReports` * `payment` is escrowed
    uint24 commitSeconds; // > 0
    uint24 revealSeconds; // > 0
    Metric metric;
    uint8 decimals; // a report is in units of 10^-decimals, .. 9
    // slot 2
    int64 low; // least report, < high
    int64 high; // greatest report
    uint64 noise; // scale of the discrete Laplace noise that reporters are asked to add, in units; 0: none
    // slots 3 .. 7
    bytes32 manifest; // sha2-256 digest of the manifest's CIDv0
    bytes32 stateRoot; // chunk tree root of the state that is measured
    bytes32 stateCid; // digest of its file; 0: all zeros, the model package's own weights
    bytes32 listRoot; // tree of the accounts that may report; 0: everyone may
    bytes32 listCid; // digest of the list's file; 0 if and only if `listRoot` is 0
}

/// @notice Where an evaluation stands at the present block.
struct EvaluationClock {
    EvaluationPhase phase;
    uint32 endsAt; // when time ends the phase; 0 after the end
    uint16 commits;
    uint16 reports; // commitments that were opened
    uint16 claims; // reports that were paid
}

/// @title IEvaluationMarket
/// @notice Pays for measuring a model on private data: providers commit to one number each, reveal it and are paid.
/// No weights and no data move. No owner, no upgrade, no pause.
/// @dev Warning: a report is its reporter's word. Nothing here or elsewhere can check it. What the contract holds is
/// that it was chosen without seeing another's, that it lies in the declared range, and that it is paid once.
interface IEvaluationMarket {
    event EvaluationPosted(
        EvaluationId indexed evaluation, address indexed owner, EvaluationTerms terms, uint32 postedAt
    );
    event EvaluationCancelled(EvaluationId indexed evaluation, uint256 refunded);
    event ReportCommitted(EvaluationId indexed evaluation, address indexed account, bytes31 commitment);
    event ReportRevealed(EvaluationId indexed evaluation, address indexed account, int64 value, bytes32 salt);
    /// @notice `amount` is the payment and the stake.
    event ReportPaid(EvaluationId indexed evaluation, address indexed account, uint256 amount);
    /// @notice `forfeited` of it are stakes of commitments that were not opened.
    event EvaluationRefunded(
        EvaluationId indexed evaluation, address indexed owner, uint256 refunded, uint256 forfeited
    );

    /// @notice The first field of the terms that is out of its range.
    error InvalidTerms(string field);
    error UnknownEvaluation();
    /// @notice The call belongs to another phase than the present one.
    error WrongPhase(EvaluationPhase present);
    error NotOwner(address owner);
    error AlreadyCommitted();
    error NotListed(bytes32 listRoot);
    /// @notice The value and the salt don't make the caller's commitment; 0 if it has none to open.
    error WrongOpening(bytes31 commitment);
    error ValueOutOfRange(int64 low, int64 high);
    error NothingToClaim(ReportState state);
    error NothingToRefund();
    /// @notice A deposit changed the contract's balance by another amount than the one that was asked.
    error WrongBalance(uint256 present, uint256 expected);

    // --- owner ---

    /// @notice Escrow `maxReports` payments from the caller and open the evaluation for commitments.
    /// @dev Warning: without a list one person can report from many accounts. Stakes don't stop that: they come back.
    function post(EvaluationTerms calldata terms) external returns (EvaluationId evaluation);

    /// @notice Return the escrow to the owner. Only until the first commitment, and before the commit window ends.
    function cancel(EvaluationId evaluation) external;

    /// @notice Send the owner what no report earned, and the stakes of commitments that were not opened. After the
    /// end, once; anyone may call.
    function refund(EvaluationId evaluation) external;

    // --- reporters ---

    /// @notice Lock the stake and record `commitment`. One a account, while there are places and the window is open;
    /// the last place ends the window.
    /// @dev Warning: its first 31 bytes are kept. It can't be taken back; unopened, it costs the stake.
    /// @param commitment keccak256(abi.encode(chainid, contract, evaluation, sender, value, salt))
    /// @param index the caller's place in the list; ignored without one, as `siblings`
    /// @param siblings of its leaf, from the leaf up
    function commit(EvaluationId evaluation, bytes32 commitment, uint32 index, bytes32[] calldata siblings) external;

    /// @notice Open the caller's commitment. The last opening ends the evaluation.
    function reveal(EvaluationId evaluation, int64 value, bytes32 salt) external;

    /// @notice Pay the caller for its revealed report, and return its stake. At any time from the reveal on.
    function claim(EvaluationId evaluation) external;

    // --- views ---

    /// @notice How many evaluations were posted; also the latest id.
    function evaluationCount() external view returns (uint256);

    /// @notice The terms; zeros where there is no such evaluation.
    function terms(EvaluationId evaluation) external view returns (EvaluationTerms memory);

    function ownerOf(EvaluationId evaluation) external view returns (address);

    function clock(EvaluationId evaluation) external view returns (EvaluationClock memory);

    /// @notice What an account has reported. `commitment` until it is opened, `value` from then on; else 0.
    function reportOf(EvaluationId evaluation, address account)
        external
        view
        returns (ReportState state, bytes31 commitment, int64 value);

    /// @notice What the contract holds of an evaluation.
    /// @return owed payments and stakes of revealed reports that were not claimed
    /// @return free payments that no report has earned; the owner's in the end
    /// @return locked stakes of commitments that are not open
    function money(EvaluationId evaluation) external view returns (uint256 owed, uint256 free, uint256 locked);
}
