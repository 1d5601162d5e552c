// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    Bond,
    BountyId,
    Live,
    Merge,
    MergeClaim,
    MergeRecord,
    Phase,
    Provider,
    Reveal,
    RewardRule,
    Status,
    Terms
} from "./Types.sol";
import {IFraudProofs} from "./interfaces/IFraudProofs.sol";
import {MarketViews} from "./MarketViews.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {Bounty, BountyLib, Seat} from "./libraries/BountyLib.sol";
import {ChunkTreeLib} from "./libraries/ChunkTreeLib.sol";
import {ClockLib} from "./libraries/ClockLib.sol";
import {ErrorsLib} from "./libraries/ErrorsLib.sol";
import {EventsLib} from "./libraries/EventsLib.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {ProofLib} from "./libraries/ProofLib.sol";
import {SumNode, SumTreeLib} from "./libraries/SumTreeLib.sol";
import {TermsLib} from "./libraries/TermsLib.sol";

/// @title TrainingMarket
/// @notice Escrow and public record of federated training. No owner, no upgrade, no pause.
///
/// ROUNDS. Phases follow from block time alone. What time has decided (a lapse, an expiry) is a fact at once and is
/// written down by the next call, before anything else that the call does.
///
/// MONEY. Each bounty has its own two purses: `owed` can only be claimed by providers, `free` only be returned to the
/// owner or allocated to providers. Stakes and bonds are each their depositor's. No call pays anyone but by its own
/// will or for its own good, so that nobody who can't be paid stops anyone else.
///
/// TOKEN ASSUMPTIONS. A transfer moves exactly what was asked, or the call reverts; balances change by transfers only.
/// A token that breaks this harms the bounties that use it and no others. Rebasing tokens are not supported.
///
/// REENTRANCY. Every call writes before it calls out, and calls out once. While a deposit is under way its amount is
/// recorded but not yet here; what a re-entering caller takes out in between is then missing from what was received,
/// and the whole call reverts. So no lock is needed.
///
/// LIVENESS. No call depends on the owner's, the aggregator's or a provider's good will. No loop runs over accounts.
contract TrainingMarket is MarketViews {
    using BountyLib for Bounty;
    using BountyLib for Seat;
    using ProofLib for Bounty;
    using MergeLib for MergeRecord;
    using ClockLib for Live;
    using ClockLib for Terms;
    using TermsLib for Terms;
    using SafeERC20 for IERC20;

    uint256 private constant LONGEST_MULTIADDR = 256;

    /// @inheritdoc ITrainingMarket
    address public immutable proofs;

    /// @inheritdoc ITrainingMarket
    address public immutable demands;

    /// @inheritdoc ITrainingMarket
    address public immutable scores;

    /// @dev The contracts name each other for ever: each is deployed with the addresses that the others will have.
    constructor(address newProofs, address newDemands, address newScores) {
        (proofs, demands, scores) = (newProofs, newDemands, newScores);
    }

    // --- owner ---

    /// @inheritdoc ITrainingMarket
    function post(Terms calldata newTerms) external returns (BountyId id) {
        IFraudProofs(proofs).checkTerms(newTerms);

        id = BountyId.wrap(++bountyCount);
        Bounty storage bounty = _bounties[id];
        bounty.terms = newTerms;
        bounty.token = newTerms.token;
        bounty.owner = msg.sender;
        bounty.free = newTerms.pot;
        bounty.live.status = Status.Joining;
        bounty.live.since = BountyLib.time();
        bounty.live.squaredNormBound = newTerms.squaredNormBound;

        emit EventsLib.Posted(id, msg.sender, newTerms);

        _receive(newTerms.token, newTerms.pot);
    }

    /// @inheritdoc ITrainingMarket
    function cancel(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        _requirePhase(bounty, live, Phase.Joining);
        require(msg.sender == bounty.owner, ErrorsLib.NotOwner(bounty.owner));

        uint96 amount = uint96(bounty.free);
        bounty.free = 0;
        live.status = Status.Cancelled;
        live.since = BountyLib.time();
        bounty.live = live;

        emit EventsLib.Cancelled(id, amount);

        bounty.token.safeTransfer(msg.sender, amount);
    }

    // --- providers ---

    /// @inheritdoc ITrainingMarket
    function join(BountyId id, uint96 stake, bytes32 encryptionKey, string calldata multiaddr) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        _requireUnfinished(bounty, live);
        require(seat.standing.stake == 0, ErrorsLib.AlreadyMember(seat.standing.stake));
        require(stake >= bounty.terms.stake, ErrorsLib.StakeTooSmall(bounty.terms.stake));
        require(
            bytes(multiaddr).length <= LONGEST_MULTIADDR,
            ErrorsLib.MultiaddrTooLong(bytes(multiaddr).length, LONGEST_MULTIADDR)
        );

        if (seat.commitment == 0) {
            require(bounty.memberCount < type(uint16).max, ErrorsLib.TooManyMembers(type(uint16).max));
            seat.commitment = BountyLib.OPENED;
            seat.standing.index = bounty.memberCount++;
        }
        seat.standing.stake = stake;
        seat.standing.unlocksAt = 0;
        live.members += 1;

        emit EventsLib.Joined(id, msg.sender, seat.standing.index, stake, encryptionKey, multiaddr);

        bounty.openWhenReady(id, live);
        bounty.live = live;

        _receive(bounty.token, stake);
    }

    /// @inheritdoc ITrainingMarket
    function leave(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        _requireUnfinished(bounty, live);
        require(seat.isActive(), ErrorsLib.NotMember());
        require(
            !seat.isCommitted() || seat.standing.commitRound != live.round
                || live.phase(bounty.terms, block.timestamp) != Phase.Commit,
            ErrorsLib.StandingCommitment(live.round)
        );

        bounty.endMembership(id, live, msg.sender);
        bounty.live = live;
    }

    /// @inheritdoc ITrainingMarket
    function withdrawStake(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        require(seat.standing.stake != 0, ErrorsLib.NotMember());
        uint32 unlocksAt = bounty.stakeFreeAt(live, msg.sender);
        require(block.timestamp >= unlocksAt, ErrorsLib.StakeLocked(unlocksAt));

        if (bounty.isForfeitDue(live, msg.sender)) bounty.forfeitStake(id, live, msg.sender);
        if (seat.standing.unlocksAt == 0) live.members -= 1;
        bounty.live = live;
        uint96 amount = seat.standing.stake;
        seat.standing.stake = 0;
        seat.standing.unlocksAt = 0;

        emit EventsLib.StakeWithdrawn(id, msg.sender, amount);

        if (amount != 0) bounty.token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ITrainingMarket
    function commit(BountyId id, uint16 round, bytes32 commitment) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        _requireRound(live, round);
        _requirePhase(bounty, live, Phase.Commit);
        Provider memory standing = seat.standing;
        require(standing.stake != 0 && standing.unlocksAt == 0, ErrorsLib.NotMember());
        require(bytes31(commitment) > BountyLib.OPENED, ErrorsLib.ReservedCommitment());
        require(standing.commitRound != round, ErrorsLib.AlreadyCommitted());
        require(
            !seat.isCommitted() || bounty.interrupted[standing.commitRound],
            ErrorsLib.UnopenedCommitment(standing.commitRound)
        );

        seat.commitment = bytes31(commitment);
        seat.weight = bounty.weightOf(standing.stake);
        seat.standing.commitRound = round;
        live.countCommit(bounty.terms, BountyLib.time());
        bounty.live = live;

        emit EventsLib.Committed(id, round, msg.sender, commitment);
    }

    /// @inheritdoc ITrainingMarket
    function reveal(BountyId id, uint16 round, bytes32 cid, bytes32 updateRoot, bytes32 salt) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        (bytes31 commitment, uint8 weight) = (seat.commitment, seat.weight);
        uint64 squaredNorm = SumTreeLib.sumOf(SumNode.wrap(updateRoot));
        Reveal storage slot = bounty.reveals[round][updateRoot];
        _requireRound(live, round);
        _requirePhase(bounty, live, Phase.Reveal);
        require(squaredNorm <= live.squaredNormBound, ErrorsLib.NormOverBound(live.squaredNormBound));
        require(
            commitment
                == bytes31(
                    keccak256(abi.encode(block.chainid, address(this), id, round, msg.sender, updateRoot, salt))
                ),
            ErrorsLib.WrongOpening(commitment)
        );
        address earlier = slot.provider;
        require(earlier == address(0), ErrorsLib.DuplicateUpdate(earlier));

        uint16 index = live.reveals;
        (slot.provider, slot.index, slot.weight) = (msg.sender, index, weight);
        (seat.commitment, seat.weight) = (BountyLib.OPENED, 0);
        live.countReveal(BountyLib.time());
        bounty.live = live;

        emit EventsLib.Revealed(id, round, msg.sender, index, cid, updateRoot, squaredNorm, weight);
    }

    /// @inheritdoc ITrainingMarket
    function forfeit(BountyId id, address account) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        require(bounty.isForfeitDue(live, account), ErrorsLib.NothingToForfeit());

        bounty.forfeitStake(id, live, account);
        bounty.live = live;
    }

    // --- aggregators ---

    /// @inheritdoc ITrainingMarket
    function depositBond(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Bond storage bond = bounty.bonds[msg.sender];
        _requireUnfinished(bounty, live);
        require(bond.amount == 0, ErrorsLib.AlreadyBonded());

        uint96 amount = bounty.terms.bond;
        bond.amount = amount;

        emit EventsLib.BondDeposited(id, msg.sender, amount);

        bounty.openWhenReady(id, live);
        bounty.live = live;

        _receive(bounty.token, amount);
    }

    /// @inheritdoc ITrainingMarket
    function withdrawBond(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        uint96 amount = bounty.bonds[msg.sender].amount;
        require(amount != 0, ErrorsLib.NotBonded(bounty.terms.bond));
        uint32 freeAt = bounty.bondFreeAt(live, msg.sender);
        require(block.timestamp >= freeAt, ErrorsLib.BondLocked(freeAt));

        delete bounty.bonds[msg.sender];

        emit EventsLib.BondWithdrawn(id, msg.sender, amount);

        bounty.token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ITrainingMarket
    function merge(BountyId id, uint16 round, MergeClaim calldata newMerge) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Bond storage bond = bounty.bonds[msg.sender];
        _requireRound(live, round);
        Phase phase = live.phase(bounty.terms, block.timestamp);
        require(phase == Phase.Merge || phase == Phase.OpenMerge, ErrorsLib.WrongPhase(phase));
        require(
            phase == Phase.OpenMerge || msg.sender == bounty.terms.aggregator,
            ErrorsLib.NotAggregator(bounty.terms.aggregator)
        );
        require(bond.amount != 0, ErrorsLib.NotBonded(bounty.terms.bond));
        require(live.lastRound == 0 || block.timestamp > live.since, ErrorsLib.JustVoided());
        MergeLib.validate(newMerge, live.reveals, bounty.terms.share(round), bounty.memberCount);

        // a merge never vests before the one that it builds on
        uint32 vestsAt = BountyLib.time() + bounty.terms.challengeSeconds;
        if (vestsAt < bounty.lastVestsAt) vestsAt = bounty.lastVestsAt;
        bytes28 record = MergeLib.recordOf(newMerge).hash();
        bounty.merges[round] = Merge(
            bytes28(newMerge.payoutRoot), vestsAt, record, live.reveals, bounty.mergedRound, msg.sender, newMerge.paid
        );
        bond.lockedUntil = vestsAt;
        bounty.allocate(newMerge.paid);

        emit EventsLib.Merged(
            id, round, msg.sender, newMerge, live.reveals, bounty.mergedRound, BountyLib.time(), vestsAt, record
        );

        (bounty.mergedRound, bounty.lastVestsAt) = (round, vestsAt);
        if (bounty.terms.isReachedBy(newMerge.metric)) live.reach(BountyLib.time());
        else live.next(bounty.terms, BountyLib.time());
        BountyLib.announce(id, live);
        bounty.live = live;
    }

    // --- proofs ---

    /// @inheritdoc ITrainingMarket
    function voidMerge(BountyId id, uint16 round, address prover) external {
        _requireJudge();
        (Bounty storage bounty, Live memory live) = _settled(id);

        uint96 reward = bounty.voidMerge(id, live, round, prover);
        bounty.live = live;

        if (reward != 0) bounty.token.safeTransfer(prover, reward);
    }

    /// @inheritdoc ITrainingMarket
    function disqualify(BountyId id, uint16 round, bytes32 updateRoot, address prover) external {
        _requireJudge();
        (Bounty storage bounty, Live memory live) = _settled(id);

        uint96 reward = bounty.disqualify(id, live, round, updateRoot, prover);
        bounty.live = live;

        if (reward != 0) bounty.token.safeTransfer(prover, reward);
    }

    /// @inheritdoc ITrainingMarket
    function extend(BountyId id, uint16 round, uint32 until) external {
        _requireJudge();
        (Bounty storage bounty,) = _settled(id);
        bounty.extend(id, round, until);
    }

    // --- money out ---

    /// @inheritdoc ITrainingMarket
    function claim(BountyId id, uint16 round, uint96 cumulative, bytes32[] calldata proof) external {
        Bounty storage bounty = _bounties[id];
        Provider storage standing = bounty.seats[msg.sender].standing;
        (uint96 claimed, uint16 index, uint16 commitRound) = (standing.claimed, standing.index, standing.commitRound);
        (IERC20 token, uint96 owed) = (bounty.token, bounty.owed);
        Merge storage merged = bounty.merges[round];
        (bytes28 payoutRoot, uint32 vestsAt) = (merged.payoutRoot, merged.vestsAt);
        require(commitRound != 0, ErrorsLib.NotMember());
        require(block.timestamp >= vestsAt, ErrorsLib.NotVested(vestsAt));
        bytes32 root = ChunkTreeLib.climb(ChunkTreeLib.payoutLeaf(index, msg.sender, cumulative), index, proof);
        require(bytes28(ChunkTreeLib.sealRoot(root, proof.length)) == payoutRoot, ErrorsLib.WrongProof());
        require(cumulative > claimed, ErrorsLib.NothingToClaim(claimed));
        uint96 amount;
        unchecked {
            amount = cumulative - claimed;
        }
        require(amount <= owed, ErrorsLib.NotOwed(owed));

        standing.claimed = cumulative;
        unchecked {
            bounty.owed = owed - amount;
        }

        emit EventsLib.Claimed(id, msg.sender, amount);

        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ITrainingMarket
    function claimLapsed(BountyId id, uint16 round, bytes32 updateRoot) external {
        (Bounty storage bounty,) = _settled(id);
        Reveal storage shown = bounty.reveals[round][updateRoot];
        uint96 amount = bounty.lapsed[round];
        require(msg.sender == shown.provider, ErrorsLib.NotProvider(shown.provider));
        require(amount != 0, ErrorsLib.NotLapsed());
        require(!shown.compensated, ErrorsLib.AlreadyCompensated());
        require(amount <= bounty.owed, ErrorsLib.NotOwed(bounty.owed));

        shown.compensated = true;
        bounty.owed -= amount;

        emit EventsLib.LapsedClaimed(id, round, msg.sender, updateRoot, amount);

        bounty.token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc ITrainingMarket
    function release(BountyId id, uint16 round) external returns (uint96 amount) {
        require(msg.sender == scores, ErrorsLib.NotScores());
        Bounty storage bounty = _bounties[id];
        Merge storage merged = bounty.merges[round];
        require(bounty.terms.rewardRule == RewardRule.Contribution, ErrorsLib.NotByContribution());
        require(merged.payoutRoot != 0 && block.timestamp >= merged.vestsAt, ErrorsLib.NotVested(merged.vestsAt));
        require(!bounty.released[round], ErrorsLib.AlreadyReleased());
        amount = merged.paid < bounty.owed ? merged.paid : bounty.owed;

        bounty.released[round] = true;
        bounty.owed -= amount;

        emit EventsLib.ShareReleased(id, round, amount);

        if (amount != 0) bounty.token.safeTransfer(scores, amount);
    }

    /// @inheritdoc ITrainingMarket
    function settle(BountyId id) external {
        _settled(id);
    }

    /// @inheritdoc ITrainingMarket
    function refund(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        _requirePhase(bounty, live, Phase.Ended);
        require(block.timestamp >= bounty.lastVestsAt, ErrorsLib.NotVested(bounty.lastVestsAt));
        uint128 amount = bounty.free;
        require(amount != 0, ErrorsLib.NothingToRefund());

        bounty.free = 0;

        emit EventsLib.Refunded(id, bounty.owner, amount);

        bounty.token.safeTransfer(bounty.owner, amount);
    }

    // --- steps ---

    /// @dev The bounty and its counters, after everything that time has decided was written down.
    function _settled(BountyId id) private returns (Bounty storage bounty, Live memory live) {
        bounty = _bounties[id];
        live = bounty.settle(id);
    }

    /// @dev Take `amount` from the caller. Last in a call, so that nothing is recorded of a deposit that did not come.
    function _receive(IERC20 token, uint96 amount) private {
        uint256 expected = token.balanceOf(address(this)) + amount;
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 balance = token.balanceOf(address(this));
        require(balance == expected, ErrorsLib.WrongBalance(balance, expected));
    }

    // --- checks ---

    function _requireJudge() private view {
        require(msg.sender == proofs || msg.sender == demands, ErrorsLib.NotJudge());
    }

    function _requirePhase(Bounty storage bounty, Live memory live, Phase wanted) private view {
        Phase phase = live.phase(bounty.terms, block.timestamp);
        require(phase == wanted, ErrorsLib.WrongPhase(phase));
    }

    function _requireUnfinished(Bounty storage bounty, Live memory live) private view {
        require(
            live.status == Status.Joining || live.status == Status.Running,
            ErrorsLib.WrongPhase(live.phase(bounty.terms, block.timestamp))
        );
    }

    function _requireRound(Live memory live, uint16 round) private pure {
        require(live.round == round, ErrorsLib.WrongRound(live.round));
    }
}
