// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Bond, BountyId, Clock, Live, MergeClaim, Phase, Provider, Reveal, Status, Terms} from "./Types.sol";
import {ITrainingMarket} from "./interfaces/ITrainingMarket.sol";
import {ChunkTreeLib} from "./libraries/ChunkTreeLib.sol";
import {ClockLib, Turn} from "./libraries/ClockLib.sol";
import {ErrorsLib} from "./libraries/ErrorsLib.sol";
import {EventsLib} from "./libraries/EventsLib.sol";
import {MergeLib} from "./libraries/MergeLib.sol";
import {SumTreeLib} from "./libraries/SumTreeLib.sol";
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
contract TrainingMarket is ITrainingMarket {
    using ClockLib for Live;
    using ClockLib for Terms;
    using TermsLib for Terms;
    using SafeERC20 for IERC20;

    /// @dev A provider's two slots. `commitment` is never 0 again after joining, so that a commit writes no fresh slot.
    struct Seat {
        Provider standing;
        bytes32 commitment;
    }

    struct Bounty {
        Terms terms;
        Live live;
        IERC20 token; // `terms.token` again: a claim then touches one slot
        uint96 owed;
        address owner;
        uint128 free;
        mapping(address account => Seat) seats;
        mapping(address account => Bond) bonds;
        mapping(uint16 round => mapping(bytes32 updateRoot => Reveal)) reveals;
        mapping(uint16 round => bytes32) merges;
        mapping(uint16 round => uint96) lapsed;
    }

    uint256 private constant LONGEST_MULTIADDR = 256;

    /// @dev Stands for "joined, no commitment waits to be opened".
    bytes32 private constant OPENED = bytes32(uint256(1));

    /// @dev Stands for "no time is known yet".
    uint32 private constant NEVER = type(uint32).max;

    /// @inheritdoc ITrainingMarket
    uint256 public bountyCount;

    mapping(BountyId id => Bounty) private _bounties;

    // --- owner ---

    /// @inheritdoc ITrainingMarket
    function post(Terms calldata newTerms) external returns (BountyId id) {
        TermsLib.validate(newTerms);

        id = BountyId.wrap(++bountyCount);
        Bounty storage bounty = _bounties[id];
        bounty.terms = newTerms;
        bounty.token = newTerms.token;
        bounty.owner = msg.sender;
        bounty.free = newTerms.pot;
        bounty.live.status = Status.Joining;
        bounty.live.since = _time();

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
        live.since = _time();
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
            require(live.memberCount < type(uint16).max, ErrorsLib.TooManyMembers(type(uint16).max));
            seat.commitment = OPENED;
            seat.standing.index = live.memberCount++;
        }
        seat.standing.stake = stake;
        seat.standing.unlocksAt = 0;
        live.members += 1;

        emit EventsLib.Joined(id, msg.sender, seat.standing.index, stake, encryptionKey, multiaddr);

        _openWhenReady(id, bounty, live);
        bounty.live = live;

        _receive(bounty.token, stake);
    }

    /// @inheritdoc ITrainingMarket
    function leave(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        _requireUnfinished(bounty, live);
        _requireActive(seat);
        require(
            !_standing(seat) || seat.standing.commitRound != live.round
                || live.phase(bounty.terms, block.timestamp) != Phase.Commit,
            ErrorsLib.StandingCommitment(live.round)
        );

        _endMembership(id, bounty, live, msg.sender);
        bounty.live = live;
    }

    /// @inheritdoc ITrainingMarket
    function withdrawStake(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        require(seat.standing.stake != 0, ErrorsLib.NotMember());
        uint32 unlocksAt = _unlocksAt(live, seat);
        require(block.timestamp >= unlocksAt, ErrorsLib.StakeLocked(unlocksAt));

        if (_forfeitDue(live, seat)) _forfeit(id, bounty, live, msg.sender);
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
        _requireActive(seat);
        require(uint256(commitment) > uint256(OPENED), ErrorsLib.ReservedCommitment());
        if (_standing(seat)) {
            uint16 earlier = seat.standing.commitRound;
            require(earlier != round, ErrorsLib.AlreadyCommitted());
            revert ErrorsLib.UnopenedCommitment(earlier);
        }

        seat.commitment = commitment;
        seat.standing.commitRound = round;
        live.countCommit(bounty.terms, _time());
        bounty.live = live;

        emit EventsLib.Committed(id, round, msg.sender, commitment);
    }

    /// @inheritdoc ITrainingMarket
    function reveal(BountyId id, uint16 round, bytes32 cid, bytes32 treeTop, uint64 squaredNorm, bytes32 salt)
        external
    {
        (Bounty storage bounty, Live memory live) = _settled(id);
        Seat storage seat = bounty.seats[msg.sender];
        bytes32 updateRoot = SumTreeLib.seal(treeTop, squaredNorm);
        Reveal storage slot = bounty.reveals[round][updateRoot];
        _requireRound(live, round);
        _requirePhase(bounty, live, Phase.Reveal);
        require(
            seat.commitment
                == keccak256(abi.encode(block.chainid, address(this), id, round, msg.sender, updateRoot, salt)),
            ErrorsLib.WrongOpening(seat.commitment)
        );
        require(squaredNorm <= bounty.terms.squaredNormBound, ErrorsLib.NormOverBound(bounty.terms.squaredNormBound));
        require(slot.provider == address(0), ErrorsLib.DuplicateUpdate(slot.provider));

        Reveal memory shown = Reveal(msg.sender, squaredNorm, live.reveals, _weight(bounty.terms, seat), false);
        bounty.reveals[round][updateRoot] = shown;
        seat.commitment = OPENED;
        live.countReveal(_time());
        bounty.live = live;

        emit EventsLib.Revealed(id, round, msg.sender, shown.index, cid, updateRoot, squaredNorm, shown.weight);
    }

    /// @inheritdoc ITrainingMarket
    function forfeit(BountyId id, address account) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        require(_forfeitDue(live, bounty.seats[account]), ErrorsLib.NothingToForfeit());

        _forfeit(id, bounty, live, account);
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

        _openWhenReady(id, bounty, live);
        bounty.live = live;

        _receive(bounty.token, amount);
    }

    /// @inheritdoc ITrainingMarket
    function withdrawBond(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        uint96 amount = bounty.bonds[msg.sender].amount;
        require(amount != 0, ErrorsLib.NotBonded(bounty.terms.bond));
        uint32 freeAt = _bondFreeAt(bounty, live, msg.sender);
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
        MergeLib.validate(newMerge, live.reveals, bounty.terms.share(round));

        uint32 vestsAt = _time() + bounty.terms.challengeSeconds;
        bytes32 record = MergeLib.recordHash(newMerge, msg.sender, live.mergedRound, live.reveals, live.memberCount);
        bounty.merges[round] = MergeLib.mergeHash(newMerge.payoutRoot, vestsAt, record);
        bond.lockedUntil = vestsAt;
        _allocate(bounty, newMerge.paid);

        _emitMerged(id, live, newMerge, vestsAt, record);

        live.mergedRound = round;
        live.lastVestsAt = vestsAt;
        live.next(bounty.terms, _time());
        _emitTurn(id, live);
        bounty.live = live;
    }

    // --- money out ---

    /// @inheritdoc ITrainingMarket
    function claim(
        BountyId id,
        uint16 round,
        uint32 vestsAt,
        bytes32 recordHash,
        uint96 cumulative,
        bytes32[] calldata proof
    ) external {
        Bounty storage bounty = _bounties[id];
        Provider storage standing = bounty.seats[msg.sender].standing;
        (uint96 claimed, uint16 index) = (standing.claimed, standing.index);
        require(standing.commitRound != 0, ErrorsLib.NotMember());
        require(block.timestamp >= vestsAt, ErrorsLib.NotVested(vestsAt));
        bytes32 payoutRoot = ChunkTreeLib.climb(ChunkTreeLib.payoutLeaf(index, msg.sender, cumulative), index, proof);
        require(MergeLib.mergeHash(payoutRoot, vestsAt, recordHash) == bounty.merges[round], ErrorsLib.WrongProof());
        require(cumulative > claimed, ErrorsLib.NothingToClaim(claimed));
        uint96 amount = cumulative - claimed;
        require(amount <= bounty.owed, ErrorsLib.NotOwed(bounty.owed));

        standing.claimed = cumulative;
        bounty.owed -= amount;

        emit EventsLib.Claimed(id, msg.sender, amount);

        bounty.token.safeTransfer(msg.sender, amount);
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
    function settle(BountyId id) external {
        _settled(id);
    }

    /// @inheritdoc ITrainingMarket
    function refund(BountyId id) external {
        (Bounty storage bounty, Live memory live) = _settled(id);
        _requirePhase(bounty, live, Phase.Ended);
        require(block.timestamp >= live.lastVestsAt, ErrorsLib.NotVested(live.lastVestsAt));
        uint128 amount = bounty.free;
        require(amount != 0, ErrorsLib.NothingToRefund());

        bounty.free = 0;

        emit EventsLib.Refunded(id, bounty.owner, amount);

        bounty.token.safeTransfer(bounty.owner, amount);
    }

    // --- views ---

    /// @inheritdoc ITrainingMarket
    function mergeHash(BountyId id, uint16 round) external view returns (bytes32) {
        return _bounties[id].merges[round];
    }

    /// @inheritdoc ITrainingMarket
    function ownerOf(BountyId id) external view returns (address) {
        return _bounties[id].owner;
    }

    /// @inheritdoc ITrainingMarket
    function terms(BountyId id) external view returns (Terms memory) {
        return _bounties[id].terms;
    }

    /// @inheritdoc ITrainingMarket
    function clock(BountyId id) external view returns (Clock memory) {
        Bounty storage bounty = _bounties[id];
        return _present(bounty).read(bounty.terms, block.timestamp);
    }

    /// @inheritdoc ITrainingMarket
    function money(BountyId id) external view returns (uint96 owed, uint128 free) {
        return (_bounties[id].owed, _bounties[id].free);
    }

    /// @inheritdoc ITrainingMarket
    function provider(BountyId id, address account) external view returns (Provider memory) {
        return _bounties[id].seats[account].standing;
    }

    /// @inheritdoc ITrainingMarket
    function commitmentOf(BountyId id, address account) external view returns (bytes32) {
        return _bounties[id].seats[account].commitment;
    }

    /// @inheritdoc ITrainingMarket
    function revealOf(BountyId id, uint16 round, bytes32 updateRoot) external view returns (Reveal memory) {
        return _bounties[id].reveals[round][updateRoot];
    }

    /// @inheritdoc ITrainingMarket
    function lapsedShare(BountyId id, uint16 round) external view returns (uint96) {
        return _bounties[id].lapsed[round];
    }

    /// @inheritdoc ITrainingMarket
    function bondOf(BountyId id, address account) external view returns (uint96 amount, uint32 lockedUntil) {
        Bounty storage bounty = _bounties[id];
        return (bounty.bonds[account].amount, _bondFreeAt(bounty, _present(bounty), account));
    }

    // --- what time decides ---

    /// @dev The bounty, after everything that time has decided was written down.
    function _settled(BountyId id) private returns (Bounty storage bounty, Live memory live) {
        bounty = _bounties[id];
        live = bounty.live;
        require(live.status != Status.None, ErrorsLib.UnknownBounty(id));
        (Turn turn, uint32 at) = live.due(bounty.terms, block.timestamp);
        if (turn == Turn.None) return (bounty, live);
        while (turn != Turn.None) {
            if (turn != Turn.Expiry) _lapse(id, bounty, live, turn == Turn.Silence);
            live.take(bounty.terms, turn, at);
            _emitTurn(id, live);
            (turn, at) = live.due(bounty.terms, block.timestamp);
        }
        bounty.live = live;
    }

    function _present(Bounty storage bounty) private view returns (Live memory live) {
        live = bounty.live;
        live.advance(bounty.terms, block.timestamp);
    }

    /// @dev Divide the round's share, and a silent aggregator's bond, among the round's updates.
    function _lapse(BountyId id, Bounty storage bounty, Live memory live, bool silent) private {
        uint96 pool = bounty.terms.share(live.round);
        if (silent) {
            address aggregator = bounty.terms.aggregator;
            uint96 bond = bounty.bonds[aggregator].amount;
            delete bounty.bonds[aggregator];
            bounty.free += bond;
            pool += bond;
            emit EventsLib.BondForfeited(id, aggregator, live.round, bond);
        }
        uint16 divisor = live.reveals < bounty.terms.minUpdates ? bounty.terms.minUpdates : live.reveals;
        uint96 share = pool / divisor;
        bounty.lapsed[live.round] = share;
        _allocate(bounty, share * live.reveals);

        emit EventsLib.Lapsed(id, live.round, live.reveals, share);
    }

    function _emitTurn(BountyId id, Live memory live) private {
        if (live.status == Status.Ended) emit EventsLib.Ended(id, live.since);
        else emit EventsLib.RoundOpened(id, live.round, live.since);
    }

    // --- membership ---

    function _openWhenReady(BountyId id, Bounty storage bounty, Live memory live) private {
        if (live.status != Status.Joining || live.members < bounty.terms.minUpdates) return;
        if (bounty.bonds[bounty.terms.aggregator].amount == 0) return;
        live.next(bounty.terms, _time());
        _emitTurn(id, live);
    }

    function _endMembership(BountyId id, Bounty storage bounty, Live memory live, address account) private {
        uint32 unlocksAt = live.status == Status.Joining ? _time() : _time() + bounty.terms.horizon();
        bounty.seats[account].standing.unlocksAt = unlocksAt;
        live.members -= 1;

        emit EventsLib.Left(id, account, unlocksAt);

        if (live.phase(bounty.terms, block.timestamp) == Phase.Commit) live.closeCommitsEarly(bounty.terms, _time());
    }

    /// @dev Move `terms.forfeit` from a stake to the owner's purse. Too little left to lose again ends the membership.
    function _forfeit(BountyId id, Bounty storage bounty, Live memory live, address account) private {
        Seat storage seat = bounty.seats[account];
        uint96 amount = bounty.terms.forfeit;
        uint96 left = seat.standing.stake - amount;
        seat.commitment = OPENED;
        seat.standing.stake = left;
        bounty.free += amount;

        emit EventsLib.StakeForfeited(id, account, seat.standing.commitRound, amount);

        if (left < amount && seat.standing.unlocksAt == 0) _endMembership(id, bounty, live, account);
    }

    /// @dev Whether a commitment is still unopened although its reveal window is over.
    function _forfeitDue(Live memory live, Seat storage seat) private view returns (bool) {
        if (!_standing(seat)) return false;
        if (seat.standing.commitRound != live.round) return true;
        return live.revealEndsAt != 0 && block.timestamp >= live.revealEndsAt;
    }

    function _standing(Seat storage seat) private view returns (bool) {
        return uint256(seat.commitment) > uint256(OPENED);
    }

    function _unlocksAt(Live memory live, Seat storage seat) private view returns (uint32 at) {
        if (live.status == Status.Cancelled) return 0;
        at = seat.standing.unlocksAt == 0 ? NEVER : seat.standing.unlocksAt;
        if (live.status == Status.Ended && live.lastVestsAt < at) at = live.lastVestsAt;
    }

    function _bondFreeAt(Bounty storage bounty, Live memory live, address account) private view returns (uint32) {
        if (account != bounty.terms.aggregator) return bounty.bonds[account].lockedUntil;
        return live.status == Status.Running ? NEVER : live.lastVestsAt;
    }

    /// @dev A stake below `terms.stake` (after a forfeit) still weighs 1.
    function _weight(Terms storage rules, Seat storage seat) private view returns (uint8) {
        uint8 most = rules.maxWeight;
        if (most == 1) return 1;
        uint96 multiple = seat.standing.stake / rules.stake;
        if (multiple == 0) return 1;
        return multiple < most ? uint8(multiple) : most;
    }

    // --- money ---

    function _allocate(Bounty storage bounty, uint96 amount) private {
        bounty.free -= amount;
        bounty.owed += amount;
    }

    function _receive(IERC20 token, uint96 amount) private {
        uint256 expected = token.balanceOf(address(this)) + amount;
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 present = token.balanceOf(address(this));
        require(present == expected, ErrorsLib.WrongBalance(present, expected));
    }

    // --- checks ---

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

    function _requireActive(Seat storage seat) private view {
        require(seat.standing.stake != 0 && seat.standing.unlocksAt == 0, ErrorsLib.NotMember());
    }

    function _time() private view returns (uint32) {
        return uint32(block.timestamp);
    }

    function _emitMerged(BountyId id, Live memory live, MergeClaim calldata newMerge, uint32 vestsAt, bytes32 record)
        private
    {
        emit EventsLib.Merged(
            id,
            live.round,
            msg.sender,
            newMerge.stateRoot,
            newMerge.stateCid,
            newMerge.reportCid,
            newMerge.payoutRoot,
            newMerge.paid,
            newMerge.rejected,
            newMerge.reasons,
            live.reveals,
            live.memberCount,
            vestsAt,
            record
        );
    }
}
