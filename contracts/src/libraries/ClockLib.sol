// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Clock, Live, Phase, Status, Terms} from "../Types.sol";

/// @notice What time alone can decide about a running round.
enum Turn {
    None,
    Lapse, // the reveal window ended below the quorum
    Silence, // nobody merged in time
    Expiry // nobody committed in time
}

/// @title ClockLib
/// @notice The phases of a bounty as functions of its counters, its terms and a time. All windows are half-open.
/// @dev Mutators and views go through the same functions, so they can't differ. Nothing here writes storage.
library ClockLib {
    // --- what time decides ---

    /// @notice The turn that is due at `time` and the moment from which it is a fact.
    function due(Live memory live, Terms storage terms, uint256 time) internal view returns (Turn turn, uint32 moment) {
        if (live.status != Status.Running) return (Turn.None, 0);
        if (live.commitEndsAt == 0) {
            (turn, moment) = (Turn.Expiry, _patienceEnd(live, terms));
        } else if (time < live.revealEndsAt) {
            return (Turn.None, 0);
        } else if (live.reveals < terms.minUpdates) {
            (turn, moment) = (Turn.Lapse, live.revealEndsAt);
        } else {
            (turn, moment) = (Turn.Silence, live.revealEndsAt + terms.mergeSeconds + terms.openMergeSeconds);
        }
        if (time < moment) return (Turn.None, 0);
    }

    /// @notice Take a turn that is due: a lapse opens the next round, everything else ends the bounty.
    function take(Live memory live, Terms storage terms, Turn turn, uint32 moment) internal view {
        if (turn == Turn.Lapse) next(live, terms, moment);
        else end(live, moment);
    }

    /// @notice All turns up to `time`. At most two can be due: a lapse, then the next round's expiry.
    function advance(Live memory live, Terms storage terms, uint256 time) internal view {
        (Turn turn, uint32 moment) = due(live, terms, time);
        while (turn != Turn.None) {
            take(live, terms, turn, moment);
            (turn, moment) = due(live, terms, time);
        }
    }

    // --- what transactions decide ---

    /// @notice Open the next round, or end the bounty after the last.
    function next(Live memory live, Terms storage terms, uint32 moment) internal view {
        if (live.lastRound != 0) (live.round, live.lastRound) = (live.lastRound, 0);
        if (live.round == terms.rounds) return end(live, moment);
        live.status = Status.Running;
        live.round += 1;
        live.since = moment;
        live.commitEndsAt = 0;
        live.revealEndsAt = 0;
        live.commits = 0;
        live.reveals = 0;
    }

    /// @notice Let `round` be merged again, by anyone who has bonded. Rounds opened since are not opened again.
    function reopen(Live memory live, Terms storage terms, uint16 round, uint16 reveals, uint32 moment) internal view {
        if (live.lastRound == 0) live.lastRound = live.status == Status.Ended ? terms.rounds : live.round;
        live.status = Status.Running;
        live.round = round;
        live.since = moment;
        live.commitEndsAt = moment;
        live.revealEndsAt = moment;
        live.commits = reveals;
        live.reveals = reveals;
    }

    /// @notice End the bounty for good: where its last merges are voided and made again, no round follows.
    function end(Live memory live, uint32 moment) internal pure {
        live.status = Status.Ended;
        live.since = moment;
        live.lastRound = 0;
    }

    /// @notice End the bounty because a merge reached the target. Should that be voided, it goes on after the latest
    /// round that was opened.
    function reach(Live memory live, uint32 moment) internal pure {
        uint16 latest = live.lastRound == 0 ? live.round : live.lastRound;
        end(live, moment);
        (live.round, live.lastRound) = (latest, latest);
    }

    /// @notice Count a commit. The one that completes the quorum fixes the end of the phase.
    function countCommit(Live memory live, Terms storage terms, uint32 time) internal view {
        live.commits += 1;
        if (live.commits == terms.minUpdates) {
            uint32 window = (time - live.since) / terms.commitSeconds + 1;
            _closeCommits(live, terms, live.since + window * terms.commitSeconds);
        }
        closeCommitsEarly(live, terms, time);
    }

    /// @notice In the commit phase: close it if the quorum is there and nobody else can commit.
    function closeCommitsEarly(Live memory live, Terms storage terms, uint32 time) internal view {
        if (live.commitEndsAt == 0) return;
        if (live.commits >= live.members || live.commits == terms.maxUpdates) _closeCommits(live, terms, time);
    }

    /// @notice Count a reveal. The last one possible ends the phase.
    function countReveal(Live memory live, uint32 time) internal pure {
        live.reveals += 1;
        if (live.reveals == live.commits) live.revealEndsAt = time;
    }

    // --- reading ---

    /// @notice The phase of counters that have been advanced to `time`.
    function phase(Live memory live, Terms storage terms, uint256 time) internal view returns (Phase) {
        if (live.status == Status.None) return Phase.None;
        if (live.status == Status.Joining) return Phase.Joining;
        if (live.status == Status.Ended) return Phase.Ended;
        if (live.status == Status.Cancelled) return Phase.Cancelled;
        if (live.commitEndsAt == 0 || time < live.commitEndsAt) return Phase.Commit;
        if (time < live.revealEndsAt) return Phase.Reveal;
        if (live.lastRound == 0 && time < live.revealEndsAt + terms.mergeSeconds) return Phase.Merge;
        return Phase.OpenMerge;
    }

    /// @notice Counters that have been advanced to `time`, with the bounds of the present phase. `memberCount` is left 0.
    function read(Live memory live, Terms storage terms, uint256 time) internal view returns (Clock memory clock) {
        clock.phase = phase(live, terms, time);
        clock.round = live.round;
        clock.members = live.members;
        clock.commits = live.commits;
        clock.reveals = live.reveals;
        clock.startedAt = live.since;
        if (clock.phase == Phase.Commit) {
            clock.endsAt = live.commitEndsAt == 0 ? _patienceEnd(live, terms) : live.commitEndsAt;
        } else if (clock.phase == Phase.Reveal) {
            (clock.startedAt, clock.endsAt) = (live.commitEndsAt, live.revealEndsAt);
        } else if (clock.phase == Phase.Merge) {
            clock.startedAt = live.revealEndsAt;
            clock.endsAt = clock.startedAt + terms.mergeSeconds;
        } else if (clock.phase == Phase.OpenMerge) {
            clock.startedAt = live.revealEndsAt + (live.lastRound == 0 ? terms.mergeSeconds : 0);
            clock.endsAt = live.revealEndsAt + terms.mergeSeconds + terms.openMergeSeconds;
        }
    }

    /// @notice The longest time for which something done in the present round can stay challengeable.
    function horizon(Terms storage terms) internal view returns (uint32) {
        return uint32(terms.patience) * terms.commitSeconds + terms.revealSeconds + terms.mergeSeconds
            + terms.openMergeSeconds + terms.challengeSeconds;
    }

    // --- internal ---

    function _closeCommits(Live memory live, Terms storage terms, uint32 moment) private view {
        live.commitEndsAt = moment;
        live.revealEndsAt = moment + terms.revealSeconds;
    }

    function _patienceEnd(Live memory live, Terms storage terms) private view returns (uint32) {
        return live.since + uint32(terms.patience) * terms.commitSeconds;
    }
}
