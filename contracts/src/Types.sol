// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice Identifies a bounty. Ids start at 1 and are never reused.
type BountyId is uint256;

/// @notice How accepted updates become one aggregate. New rules are appended, never renumbered.
enum MergeRule {
    Mean,
    TrimmedMean,
    Median,
    CenteredClip,
    MultiKrum,
    GeometricMedian,
    NearestNeighbours
}

/// @notice How a round's share is divided among accepted updates. New rules are appended, never renumbered.
enum RewardRule {
    Equal,
    Stake,
    Contribution // by `ContributionScores`, which takes each round's share as a whole
}

/// @notice How updates are protected. New modes are appended, never renumbered.
enum PrivacyMode {
    Open, // anyone can read every update
    Dp, // the same; each is made with noise of its provider's
    Masked, // only sums of groups can be read
    Encrypted // files are sealed for named recipients; what is committed is as in `Open`
}

/// @notice Where a bounty stands. Derived from block time; see `ITrainingMarket.clock`.
enum Phase {
    None, // no such bounty
    Joining, // posted; waits for the aggregator's bond and for `minUpdates` providers
    Commit,
    Reveal,
    Merge, // the named aggregator alone may merge
    OpenMerge, // anyone who has bonded may merge
    Ended, // all rounds done, or expired
    Cancelled
}

/// @notice What a bounty's owner fixes when posting. Nothing in it can change later.
/// @dev The order is the storage layout.
struct Terms {
    // slot 0
    IERC20 token; // pot, stakes and bonds are paid in it
    uint96 pot; // escrowed at posting; divided evenly over `rounds`
    // slot 1
    address aggregator; // has the exclusive right to merge during `mergeSeconds`
    uint96 bond; // what a merging party locks, > 0
    // slot 2
    uint96 stake; // the least that a provider locks, > 0
    uint64 squaredNormBound; // greatest squared L2 norm of an update, in squared grid units, > 0
    uint16 rounds; // 1 ..
    uint16 minUpdates; // quorum: 1 .. maxUpdates
    uint16 maxUpdates; // .. 256
    MergeRule mergeRule;
    RewardRule rewardRule;
    uint8 maxWeight; // cap of a stake weight, in multiples of `stake`; 1 for every other reward rule
    PrivacyMode privacy;
    // slot 3
    uint96 forfeit; // what a provider loses from its stake for a commit without a reveal, <= stake
    uint24 commitSeconds; // length of one commit window, > 0
    uint24 revealSeconds; // > 0
    uint24 mergeSeconds; // the aggregator's exclusive time, > 0
    uint24 openMergeSeconds; // then anyone bonded
    uint24 challengeSeconds; // a merge's payouts vest this long after it
    uint8 patience; // commit windows to wait for the quorum before the bounty expires, 1 ..
    uint32 chunks; // chunks of 128 coordinates in the model, 1 ..
    // slot 4
    uint96 demandFee; // what it costs to demand a chunk, paid to whoever answers, > 0
    uint24 answerSeconds; // how long a demanded chunk may stay away, > 0
    uint32 target; // a merge whose `metric` is at least this ends the bounty; 0: none
    // slots 5 ..
    bytes32 manifest; // sha2-256 digest of the manifest's CIDv0
    bytes32 stateRoot; // chunk-tree root of the initial state (all zeros)
    bytes32 mergeParameters; // rule-specific, packed; see docs/PROTOCOL.md
}

/// @notice What the chain stores of a bounty's progress, as of the last transaction that touched it. One slot.
struct Live {
    Status status;
    uint16 round; // 1 .. ; 0 before the first
    uint32 since; // when the status began; while Running: when the round opened
    uint32 commitEndsAt; // 0 until the quorum has committed
    uint32 revealEndsAt; // 0 until the quorum has committed
    uint16 members; // providers that have a stake and are not leaving
    uint16 commits;
    uint16 reveals;
    uint64 squaredNormBound; // of the terms, again: a reveal then reads no terms
    uint16 lastRound; // the latest that was opened, while a voided round is merged again or the target is reached; else 0
}

/// @notice What only a transaction can change; time moves a bounty within `Running` and to `Ended`.
enum Status {
    None,
    Joining,
    Running,
    Ended,
    Cancelled
}

/// @notice The live counters of a bounty, brought to one moment in time.
struct Clock {
    Phase phase;
    uint16 round; // 1 .. ; 0 while Joining
    uint32 startedAt; // when the phase began
    uint32 endsAt; // when it ends if nobody acts; 0 where time does not end it
    uint16 members; // providers that have a stake and are not leaving
    uint16 memberCount; // providers that ever joined
    uint16 commits;
    uint16 reveals;
}

/// @notice What an aggregator posts for a round.
struct MergeClaim {
    bytes32 stateRoot; // chunk-tree root of the new state
    bytes32 stateCid; // sha2-256 digest of the state file's CIDv0
    bytes32 reportCid; // sha2-256 digest of the merge report's CIDv0: metrics, untrusted
    bytes32 payoutRoot; // sealed chunk-tree root of cumulative payouts, a leaf a member
    uint96 paid; // what this round adds to the payouts, <= the round's share
    uint16 payoutLeaves; // the payout tree's leaves: the first so many members, <= those that ever joined
    uint32 metric; // what the merging party measured on the hold-out, in units of 1e-6, more is better; untrusted
    uint256 rejected; // bit i set: the update with reveal index i is rejected
    bytes reasons; // 4 bytes a rejected update, by rising index: the code, and the faulty chunk as a uint24
    bytes32 scalesHash; // keccak of the clipping scales; 0 for a rule that has none
    bytes32 distancesHash; // keccak of the distance trees' roots; 0 likewise
    bytes32 clipCid; // sha2-256 digest of the clip file's CIDv0; 0 likewise
}

/// @notice What a merge's record hash binds, apart from what is stored beside it.
struct MergeRecord {
    uint32 mergedAt; // so that a merge that was voided and one that replaces it never have one hash
    bytes32 stateRoot;
    bytes32 stateCid;
    bytes32 reportCid;
    uint16 payoutLeaves;
    uint32 metric;
    uint256 rejected;
    bytes32 reasonsHash; // keccak of the claim's reasons
    bytes32 scalesHash;
    bytes32 distancesHash;
    bytes32 clipCid;
}

/// @notice What the chain keeps of a round's merge. Three slots, of which a claim reads the first.
struct Merge {
    bytes28 payoutRoot; // shortened: 112 bits against collisions; 0: no merge
    uint32 vestsAt; // when its payouts can be claimed
    // slot 1
    bytes28 recordHash; // of its `MergeRecord`, shortened likewise
    uint16 reveals; // updates that were revealed
    uint16 previous; // the round whose merge it builds on, 0 for the initial state
    // slot 2
    address aggregator; // whose bond answers for it
    uint96 paid; // what it added to the payouts
}

/// @notice A provider's standing in one bounty. One slot.
struct Provider {
    uint96 stake; // 0: not a member
    uint96 claimed; // cumulative payouts taken
    uint16 index; // leaf in the payout tree, from 0
    uint16 commitRound; // round of the latest commit
    uint32 unlocksAt; // != 0: leaving, the stake is free from then
}

/// @notice A revealed update. One slot.
struct Reveal {
    address provider; // 0: no such update in the round
    uint16 index; // order of revealing in the round, from 0
    uint8 weight; // reward weight; 1 under `Equal`
    bool compensated; // its share of a lapsed round was taken
    bool disqualified; // proven faulty: no merge may accept it
}

/// @notice What a party that may merge has locked. One slot.
struct Bond {
    uint96 amount; // 0: none
    uint32 lockedUntil; // when the latest merge of the party vests
}
