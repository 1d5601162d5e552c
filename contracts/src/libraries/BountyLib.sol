// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Bond, BountyId, Live, Merge, Phase, Provider, Reveal, Status, Terms} from "../Types.sol";
import {ClockLib, Turn} from "./ClockLib.sol";
import {ErrorsLib} from "./ErrorsLib.sol";
import {EventsLib} from "./EventsLib.sol";
import {TermsLib} from "./TermsLib.sol";

/// @notice A provider's two slots. After joining the second is never 0 again, so that a commit writes no fresh slot.
struct Seat {
    Provider standing;
    // second slot
    bytes31 commitment; // what waits to be opened, shortened: 124 bits against collisions; or `OPENED`
    uint8 weight; // reward weight of the committed update
}

/// @notice All that the chain keeps of a bounty.
struct Bounty {
    Terms terms;
    Live live;
    // one slot: all that a claim needs
    IERC20 token; // `terms.token` again
    uint96 owed; // allocated to providers, not taken yet
    // one slot
    address owner;
    uint32 lastVestsAt; // when the latest merge's payouts vest, 0 if none
    uint16 mergedRound; // the latest merged round, 0 if none
    uint16 memberCount; // providers that ever joined
    uint32 heldUntil; // no stake and no bond leaves before: a proof or a demand is, or may still come, under way
    // one slot
    uint128 free; // everything else of the pot and of forfeits; the owner's in the end
    mapping(address account => Seat) seats;
    mapping(address account => Bond) bonds;
    mapping(uint16 round => mapping(bytes32 updateRoot => Reveal)) reveals;
    mapping(uint16 round => Merge) merges;
    mapping(uint16 round => uint96) lapsed;
    mapping(uint16 round => bool) interrupted; // ended by a proof before its commitments could be opened
    mapping(uint16 round => bool) released; // its `paid` is divided by contribution now
}

/// @title BountyLib
/// @notice The steps that several calls share: settling what time decided, ending memberships, moving money between purses.
/// @dev `live` is the caller's working copy of `bounty.live`. The caller stores it back.
library BountyLib {
    using ClockLib for Live;
    using ClockLib for Terms;
    using TermsLib for Terms;

    /// @dev The commitment of a member that has none to open.
    bytes31 internal constant OPENED = bytes31(uint248(1));

    /// @dev Stands for "no time frees it yet".
    uint32 internal constant NEVER = type(uint32).max;

    // --- what time decides ---

    /// @notice Write down everything that time has decided, and return the counters of now.
    function settle(Bounty storage bounty, BountyId id) internal returns (Live memory live) {
        live = bounty.live;
        require(live.status != Status.None, ErrorsLib.UnknownBounty(id));
        (Turn turn, uint32 moment) = live.due(bounty.terms, block.timestamp);
        if (turn == Turn.None) return live;
        while (turn != Turn.None) {
            if (turn != Turn.Expiry) lapse(bounty, id, live, turn == Turn.Silence);
            live.take(bounty.terms, turn, moment);
            announce(id, live);
            (turn, moment) = live.due(bounty.terms, block.timestamp);
        }
        bounty.live = live;
    }

    /// @notice The counters that `settle` would return.
    function present(Bounty storage bounty) internal view returns (Live memory live) {
        live = bounty.live;
        live.advance(bounty.terms, block.timestamp);
    }

    /// @notice Divide the round's share, and a silent aggregator's bond, among the round's updates.
    function lapse(Bounty storage bounty, BountyId id, Live memory live, bool silent) internal {
        uint96 pool = bounty.terms.share(live.round);
        // a round that is merged again is nobody's duty
        if (silent && live.lastRound == 0) pool += forfeitBond(bounty, id, live.round);
        divide(bounty, id, live.round, live.reveals, pool);
    }

    /// @notice Let each of a round's `reveals` take an equal part of `pool`, as if the quorum was there.
    function divide(Bounty storage bounty, BountyId id, uint16 round, uint16 reveals, uint96 pool) internal {
        uint16 quorum = bounty.terms.minUpdates;
        uint96 share = pool / (reveals < quorum ? quorum : reveals);
        bounty.lapsed[round] = share;
        allocate(bounty, share * reveals);

        emit EventsLib.Lapsed(id, round, reveals, share);
    }

    /// @notice Open the first round if the named aggregator has bonded and the quorum is there.
    function openWhenReady(Bounty storage bounty, BountyId id, Live memory live) internal {
        if (live.status != Status.Joining || live.members < bounty.terms.minUpdates) return;
        if (bounty.bonds[bounty.terms.aggregator].amount == 0) return;
        live.next(bounty.terms, time());
        announce(id, live);
    }

    /// @notice Say that a round opened or that the bounty ended.
    function announce(BountyId id, Live memory live) internal {
        if (live.status == Status.Ended) emit EventsLib.Ended(id, live.since);
        else emit EventsLib.RoundOpened(id, live.round, live.since);
    }

    // --- membership ---

    function isActive(Seat storage seat) internal view returns (bool) {
        return seat.standing.stake != 0 && seat.standing.unlocksAt == 0;
    }

    /// @notice Whether a commitment waits to be opened.
    function isCommitted(Seat storage seat) internal view returns (bool) {
        return seat.commitment > OPENED;
    }

    /// @notice Whether a commitment is still unopened although its reveal window is over.
    /// @dev A commit phase that expired had no reveal window, an interrupted round no whole one: nothing is forfeited.
    function isForfeitDue(Bounty storage bounty, Live memory live, address account) internal view returns (bool) {
        Seat storage seat = bounty.seats[account];
        if (!isCommitted(seat) || bounty.interrupted[seat.standing.commitRound]) return false;
        if (seat.standing.commitRound != live.round) return true;
        return live.revealEndsAt != 0 && block.timestamp >= live.revealEndsAt;
    }

    /// @notice Let `account` go: its stake unlocks when nothing that it did can be challenged.
    function endMembership(Bounty storage bounty, BountyId id, Live memory live, address account) internal {
        uint32 unlocksAt = live.status == Status.Joining ? time() : time() + bounty.terms.horizon();
        bounty.seats[account].standing.unlocksAt = unlocksAt;
        live.members -= 1;

        emit EventsLib.Left(id, account, unlocksAt);

        if (live.phase(bounty.terms, block.timestamp) == Phase.Commit) live.closeCommitsEarly(bounty.terms, time());
    }

    /// @notice Move `terms.forfeit` from a stake to the owner's purse. Too little left to lose again ends the membership.
    function forfeitStake(Bounty storage bounty, BountyId id, Live memory live, address account) internal {
        Seat storage seat = bounty.seats[account];
        uint96 amount = bounty.terms.forfeit;
        uint96 left = seat.standing.stake - amount;
        seat.commitment = OPENED;
        seat.standing.stake = left;
        bounty.free += amount;

        emit EventsLib.StakeForfeited(id, account, seat.standing.commitRound, amount);

        if (left < amount && seat.standing.unlocksAt == 0) endMembership(bounty, id, live, account);
    }

    /// @notice When a stake can be withdrawn.
    function stakeFreeAt(Bounty storage bounty, Live memory live, address account)
        internal
        view
        returns (uint32 freeAt)
    {
        if (live.status == Status.Cancelled) return 0;
        uint32 unlocksAt = bounty.seats[account].standing.unlocksAt;
        freeAt = unlocksAt == 0 ? NEVER : unlocksAt;
        if (live.status == Status.Ended && bounty.lastVestsAt < freeAt) freeAt = bounty.lastVestsAt;
        if (freeAt < bounty.heldUntil) freeAt = bounty.heldUntil;
    }

    /// @notice What an update of a provider with `stake` weighs: multiples of the least stake, capped; never 0.
    function weightOf(Bounty storage bounty, uint96 stake) internal view returns (uint8) {
        uint8 most = bounty.terms.maxWeight;
        if (most == 1) return 1;
        uint96 multiple = stake / bounty.terms.stake;
        if (multiple == 0) return 1; // after a forfeit
        return multiple < most ? uint8(multiple) : most;
    }

    // --- bonds ---

    /// @notice When a bond can be withdrawn.
    function bondFreeAt(Bounty storage bounty, Live memory live, address account) internal view returns (uint32) {
        uint32 freeAt = bounty.bonds[account].lockedUntil;
        if (account == bounty.terms.aggregator) freeAt = live.status == Status.Running ? NEVER : bounty.lastVestsAt;
        return freeAt < bounty.heldUntil ? bounty.heldUntil : freeAt;
    }

    /// @notice Move the named aggregator's bond to the bounty's free purse.
    function forfeitBond(Bounty storage bounty, BountyId id, uint16 round) internal returns (uint96 amount) {
        address aggregator = bounty.terms.aggregator;
        amount = bounty.bonds[aggregator].amount;
        delete bounty.bonds[aggregator];
        bounty.free += amount;

        emit EventsLib.BondForfeited(id, aggregator, round, amount);
    }

    // --- money ---

    /// @notice Make `amount` of the free purse the providers', or what is left of it.
    /// @dev Shares add up to the pot, so it is there; less is only where a wrong payout tree vested unchallenged and
    /// took what a later merge, voided since, had allocated.
    function allocate(Bounty storage bounty, uint96 amount) internal {
        if (amount > bounty.free) amount = uint96(bounty.free);
        bounty.free -= amount;
        bounty.owed += amount;
    }

    function time() internal view returns (uint32) {
        return uint32(block.timestamp);
    }
}
